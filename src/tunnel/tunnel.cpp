#include "tunnel/tunnel.hpp"

#include <new>

#include "base/answer.hpp"
#include "base/features.hpp"
#include "base/mutex.hpp"
#include "net/thread.hpp"
#include "tunnel/driver.hpp"

namespace smartvpn::tunnel {

// `mutex_` guards the state and who joins the thread, never held while a command runs. The thread
// itself says that the tunnel has stopped, as in server/server.cpp.
class Tunnel::Impl {
 public:
  Result<void> start();
  void request_stop();
  Result<void> wait_stopped(int32_t timeout_ms);
  void on_thread_end();
  Result<TunnelInfo> info();

  // `fn` gives a Result. What has no memory on the tunnel's thread fails its caller, and nobody else.
  template <class Fn>
  auto command(Fn fn) -> decltype(fn()) {
    Answer<decltype(fn())> answer;
    {
      MutexLock lock(mutex_);
      if (!thread_ || state_ == State::stopped) return not_running();
      if (!driver_->loop().post([giver = answer.giver(), fn]() mutable { giver.give(run(fn)); })) return not_running();
    }
    auto given = answer.wait();
    if (!given) return not_running();  // the tunnel stopped before the command's turn came
    return std::move(*given);
  }
  template <class Fn>
  static auto run(Fn& fn) -> decltype(fn()) {
    try {
      return fn();
    } catch (const std::bad_alloc&) {
      return Error{Status::NO_MEMORY, {}, 0, {}};
    }
  }
  static Error not_running() { return make_error(Status::BAD_STATE, "the tunnel is not running"); }
  Result<void> open() REQUIRES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  State state_ GUARDED_BY(mutex_) = State::created;
  bool refused_ GUARDED_BY(mutex_) = false, joining_ GUARDED_BY(mutex_) = false;
  telemetry::EventHub hub_;
  std::unique_ptr<Driver> driver_;  // changed under mutex_; its own thread, and what runs there, reads it without
  std::unique_ptr<net::Thread> thread_ GUARDED_BY(mutex_);
  std::shared_ptr<forward::HostChannel> channel_ GUARDED_BY(mutex_);
  TunnelInfo last_info_ GUARDED_BY(mutex_);
};

Result<void> Tunnel::Impl::start() {
  MutexLock lock(mutex_);
  if (state_ != State::created) return make_error(Status::BAD_STATE, "a tunnel is started once");
  Result<void> opened = Error{Status::NO_MEMORY, {}, 0, {}};
  try {
    opened = open();
  } catch (const std::bad_alloc&) {
    // It stays what it says above.
  }
  if (opened) return opened;
  state_ = State::stopped;
  driver_.reset();
  hub_.close();
  changed_.notify_all();
  return opened;
}

Result<void> Tunnel::Impl::open() {
  if (auto ok = driver_->open(); !ok) return ok;
  channel_ = driver_->channel();
  state_ = State::connecting;
  auto thread = net::Thread::start("svpn-tunnel", [this] {
    driver_->run();
    on_thread_end();
  });
  if (!thread) return std::move(thread).error();
  thread_ = std::move(*thread);
  return {};
}

void Tunnel::Impl::request_stop() {
  MutexLock lock(mutex_);
  if (state_ == State::created) {
    state_ = State::stopped;
    driver_.reset();
    hub_.close();
    changed_.notify_all();
  } else if (state_ != State::stopped) {
    try {
      while (!driver_->loop().post([this] { driver_->stop_soon(); })) {
        if (driver_->loop().stopped()) break;
      }
    } catch (const std::bad_alloc&) {
      driver_->loop().stop();  // without a goodbye, but it ends
    }
  }
}

void Tunnel::Impl::on_thread_end() {
  std::unique_ptr<Driver> driver;
  MutexLock lock(mutex_);
  last_info_ = driver_->take_info();
  last_info_.state = State::stopped;
  state_ = State::stopped;
  driver = std::move(driver_);
  hub_.close();
  changed_.notify_all();
}

Result<void> Tunnel::Impl::wait_stopped(int32_t timeout_ms) {
  MutexLock lock(mutex_);
  auto over = [this]() REQUIRES(mutex_) { return state_ == State::stopped && !joining_; };
  if (timeout_ms < 0) {
    changed_.wait(lock, over);
  } else if (!changed_.wait_for(lock, milliseconds(timeout_ms), over)) {
    return make_error(timeout_ms == 0 ? Status::AGAIN : Status::TIMEOUT, "the tunnel is still stopping");
  }
  if (!thread_) return {};
  joining_ = true;
  auto thread = std::move(thread_);
  lock.unlock();
  thread.reset();  // joins
  lock.lock();
  joining_ = false;
  changed_.notify_all();
  return {};
}

Result<TunnelInfo> Tunnel::Impl::info() {
  auto live = command([this]() -> Result<TunnelInfo> { return driver_->info(); });
  if (live || live.error().status == Status::NO_MEMORY) return live;
  MutexLock lock(mutex_);
  TunnelInfo last = last_info_;
  last.state = state_;
  return last;
}

Tunnel::Tunnel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Tunnel::~Tunnel() {
  if (!impl_) return;
  impl_->request_stop();
  (void)impl_->wait_stopped(-1).ok();
}

Result<std::unique_ptr<Tunnel>> Tunnel::create(config::TunnelConfig config) {
  if (!SMARTVPN_WITH_TUNNEL || !SMARTVPN_WITH_WEBSOCKET)
    return make_error(Status::UNSUPPORTED, "this build has no dialling end");
  if (!SMARTVPN_WITH_TLS && config.server.tls)
    return make_error(Status::UNSUPPORTED, "this build has no TLS", "/server");
  auto impl = std::make_unique<Impl>();
  Impl* self = impl.get();
  {
    MutexLock lock(self->mutex_);
    self->last_info_.server = config.server.text();
  }
  auto driver = Driver::create(std::move(config), impl->hub_, [self](State state, bool refused) {
    MutexLock lock(self->mutex_);
    self->state_ = state;
    self->refused_ = refused;
    self->changed_.notify_all();
  });
  if (!driver) return driver.error();
  impl->driver_ = std::move(*driver);
  return std::unique_ptr<Tunnel>(new Tunnel(std::move(impl)));
}

Result<void> Tunnel::start() { return impl_->start(); }

Result<void> Tunnel::stop(int32_t timeout_ms) {
  impl_->request_stop();
  return impl_->wait_stopped(timeout_ms);
}

State Tunnel::state() const {
  MutexLock lock(impl_->mutex_);
  return impl_->state_;
}

Result<void> Tunnel::wait_connected(int32_t timeout_ms) {
  MutexLock lock(impl_->mutex_);
  if (impl_->state_ == State::created) return make_error(Status::BAD_STATE, "the tunnel was not started");
  auto settled = [this]() REQUIRES(impl_->mutex_) {
    return impl_->state_ == State::connected || impl_->state_ == State::stopped || impl_->refused_;
  };
  if (timeout_ms < 0) {
    impl_->changed_.wait(lock, settled);
  } else if (!impl_->changed_.wait_for(lock, milliseconds(timeout_ms), settled)) {
    return make_error(timeout_ms == 0 ? Status::AGAIN : Status::TIMEOUT, "not connected yet");
  }
  if (impl_->state_ == State::connected) return {};
  if (impl_->state_ == State::stopped) return make_error(Status::CLOSED, "the tunnel has stopped");
  lock.unlock();
  auto last = impl_->info();
  if (!last) return std::move(last).error();
  std::string text = "no further attempt is made: " + std::string(reason_name(last->last_reason));
  if (!last->last_detail.empty()) text += " (" + last->last_detail + ")";
  return make_error(Status::REFUSED, std::move(text));
}

Result<std::shared_ptr<telemetry::EventQueue>> Tunnel::subscribe(uint64_t type_mask, size_t capacity) {
  return impl_->hub_.subscribe(type_mask, capacity);
}

TunnelInfo Tunnel::info() const {
  auto info = impl_->info();
  if (!info) throw std::bad_alloc();
  return std::move(*info);
}

Result<telemetry::StatsSnapshot> Tunnel::stats() {
  return impl_->command([this]() -> Result<telemetry::StatsSnapshot> { return impl_->driver_->stats(); });
}

namespace {

Error no_host_engine() {
  return make_error(Status::BAD_STATE, "packets need forwarding.mode \"host\" and a started tunnel");
}

}  // namespace

Result<size_t> Tunnel::packets_read(ByteSpan arena, std::span<forward::HostPacket> meta, int32_t timeout_ms) {
  std::shared_ptr<forward::HostChannel> channel;
  {
    MutexLock lock(impl_->mutex_);
    channel = impl_->channel_;
  }
  return channel ? channel->read(arena, meta, timeout_ms) : no_host_engine();
}

Result<size_t> Tunnel::packets_write(ByteView arena, std::span<const forward::HostPacket> meta) {
  std::shared_ptr<forward::HostChannel> channel;
  {
    MutexLock lock(impl_->mutex_);
    channel = impl_->channel_;
  }
  return channel ? channel->write(arena, meta) : no_host_engine();
}

Result<int> Tunnel::packets_fd() const {
  MutexLock lock(impl_->mutex_);
  if (!impl_->channel_) return no_host_engine();
  return impl_->channel_->fd();
}

// In the child no other thread is left.
NO_THREAD_SAFETY_ANALYSIS void Tunnel::abandon_after_fork() noexcept {
  Impl* impl = impl_.release();  // leaked: its threads do not exist here
  impl->hub_.abandon_after_fork();
  if (impl->driver_) impl->driver_->abandon_after_fork();
  if (impl->thread_) impl->thread_->abandon_after_fork();
}

}  // namespace smartvpn::tunnel
