// The lifecycle of a server. Its commands are in server_commands.cpp, those of the registry in server_registry.cpp.
#include <algorithm>

#include "server/server_impl.hpp"
#include "server/store_factory.hpp"

namespace smartvpn::server {

Result<void> Server::Impl::open_registry() {
  auto store = open_store_(registry_config_);
  if (!store) return store.error();
  return registry_.start(std::move(*store), *shards_[0], shards_[0]->config().clients);
}

Result<void> Server::Impl::start() {
  {
    MutexLock lock(mutex_);
    if (state_ != State::created || starting_) return make_error(Status::BAD_STATE, "a server is started once");
    starting_ = true;
  }
  Result<void> started = Error{Status::NO_MEMORY, {}, 0, {}};
  try {
    const MutexLock hold(registry_.changing());
    Result<void> prepared = prepare();
    started = prepared ? launch() : std::move(prepared);
  } catch (const std::bad_alloc&) {
    // It stays what it says above: a success of half the way must not be in it.
  }
  if (!started) fail_start();
  return started;
}

// Without the lock: this may wait for the disk, and neither state() nor stop() may.
Result<void> Server::Impl::prepare() {
  if (auto ok = start_dispatcher(); !ok) return ok;
  if (auto ok = open_registry(); !ok) return ok;
  for (auto& shard : shards_)
    if (auto ok = shard->open(shard == shards_[0] ? nullptr : shards_[0].get()); !ok) return ok;
  if (auto ok = start_stamps(); !ok) return ok;
  if (auto ok = start_uapi(); !ok) return ok;
  return start_helpers();
}

// Before the first shard's: if one cannot be started, the others have served nobody whom anybody knows of.
Result<void> Server::Impl::start_helpers() {
  for (size_t i = 1; i < shards_.size(); ++i) {
    auto thread = net::Thread::start("svpn-shard" + std::to_string(i), [shard = shards_[i].get()] { shard->run(); });
    if (!thread) return thread.error();
    helpers_.push_back(std::move(*thread));
  }
  return {};
}

// Loops that have not been stopped are, so that it ends whatever has come before.
void Server::Impl::stop_helpers() noexcept {
  for (size_t i = 1; i < shards_.size(); ++i) shards_[i]->loop().stop();
  helpers_.clear();  // joins
}

Result<void> Server::Impl::launch() {
  std::optional<Duration> stop;
  {
    MutexLock lock(mutex_);
    endpoints_ = shards_[0]->endpoints();
    host_channel_ = shards_[0]->host_channel();
    auto thread = net::Thread::start("svpn-shard0", [this] {
      shards_[0]->run();
      stop_helpers();
      for (auto& shard : shards_) shard->close_everything();
      on_thread_end();
      if (uapi_) uapi_->stop();
      stamps_->stop();   // its last write
      registry_.stop();  // after the shard's end: a change on its way has its answer then
      on_store_closed();
    });
    if (!thread) return std::move(thread).error();
    thread_ = std::move(*thread);
    serving_ = true;
    starting_ = false;
    state_ = State::running;
    changed_.notify_all();
    stop = stop_when_started_;
  }
  if (stop) request_stop(*stop);
  return {};
}

void Server::Impl::fail_start() {
  stop_helpers();
  {
    MutexLock lock(mutex_);
    starting_ = false;  // first: a change that waits for it in command() holds the registry's lock
    serving_ = true;    // stop() is over when the store is closed
    become_stopped();
  }
  if (uapi_) uapi_->stop();
  stamps_->stop();
  registry_.stop();
  on_store_closed();
}

void Server::Impl::become_stopped() {
  state_ = State::stopped;
  host_channel_.reset();
  destroy_shards();
  close_queues();
  changed_.notify_all();
}

// What one shard still tells another ends before any of them goes.
void Server::Impl::destroy_shards() noexcept {
  for (auto& shard : shards_) shard->close_everything();
  shards_.clear();
  crossing_.reset();
  control_.reset();
}

Result<void> Server::Impl::build(const std::shared_ptr<const Plan>& plan) {
  shard_count_ = plan->config.limits.threads;
  auto control = Control::create(*plan, shard_count_);
  if (!control) return control.error();
  control_ = std::move(*control);
  requests_ = control_->requests;
  if (shard_count_ > 1) crossing_ = std::make_unique<Crossing>(*control_);
  for (size_t i = 0; i < shard_count_; ++i) {
    auto shard = Shard::create(plan, {hub_, *control_, crossing_.get(), i, stamps_});
    if (!shard) return shard.error();
    shards_.push_back(std::move(*shard));
  }
  return {};
}

Result<void> Server::Impl::start_dispatcher() {
  Dispatcher::Duties duties;
  if (callbacks_.event) {
    auto queue = hub_.subscribe(telemetry::kAllEvents, callback_queue_);
    if (!queue) return queue.error();
    duties.events = std::move(*queue);
    duties.on_event = callbacks_.event;
  }
  if (callbacks_.authorize) {
    duties.requests = requests_;
    duties.on_request = callbacks_.authorize;
  }
  if (!duties.events && !duties.requests) return {};
  duties.on_exception = [this](const char* callback) {
    ++callback_exceptions_;
    publish_log("error", std::string("an exception left the ") + callback + " callback");
  };
  auto dispatcher = Dispatcher::start(std::move(duties));
  if (!dispatcher) return dispatcher.error();
  MutexLock lock(mutex_);
  dispatcher_ = std::move(*dispatcher);
  return {};
}

// From other threads than the shard's.
void Server::Impl::publish_log(const char* level, const std::string& message) noexcept {
  const int64_t now = wall_clock_ms();
  try {
    telemetry::Event event(telemetry::EventType::log, now);
    event.set("level", level).set("message", message);
    hub_.publish(std::move(event));
  } catch (const std::bad_alloc&) {
    hub_.note_lost(telemetry::EventType::log, now);
  }
}

Result<void> Server::Impl::start_stamps() {
  if (!shards_[0]->speaks_wireguard()) return {};
  return stamps_->start([this](const std::vector<registry::HandshakeStamp>& due) { return registry_.save_stamps(due); },
                        [this](const std::string& text) { publish_log("warning", text); });
}

void Server::Impl::close_queues() {
  hub_.close();
  if (requests_) requests_->close();
}

void Server::Impl::request_stop(Duration drain) {
  MutexLock lock(mutex_);
  if (starting_) {
    stop_when_started_ = std::min(drain, stop_when_started_.value_or(drain));
  } else if (state_ == State::created) {
    become_stopped();
  } else if (state_ == State::running || state_ == State::draining) {
    state_ = State::draining;
    // The queue of commands may be full of waiting ones; it empties at the loop's pace.
    try {
      for (auto& each : shards_) {
        Shard* shard = each.get();
        while (!shard->loop().post([shard, drain] { shard->begin_drain(drain); })) {
          if (shard->loop().stopped()) break;
        }
      }
    } catch (const std::bad_alloc&) {
      shards_[0]->loop().stop();  // without a goodbye, but it ends, and its thread ends the others
    }
  }
}

void Server::Impl::on_thread_end() {
  std::unique_ptr<Control> control;
  std::unique_ptr<Crossing> crossing;
  std::vector<std::unique_ptr<Shard>> shards;  // goes first
  MutexLock lock(mutex_);
  state_ = State::stopped;
  shards.swap(shards_);
  crossing = std::move(crossing_);
  control = std::move(control_);
  close_queues();
  changed_.notify_all();
}

void Server::Impl::on_store_closed() {
  MutexLock lock(mutex_);
  serving_ = false;
  changed_.notify_all();
}

Result<void> Server::Impl::wait_stopped(int32_t timeout_ms) {
  MutexLock lock(mutex_);
  auto over = [this]() REQUIRES(mutex_) { return state_ == State::stopped && !serving_ && !joining_; };
  if (timeout_ms < 0) {
    changed_.wait(lock, over);
  } else if (!changed_.wait_for(lock, milliseconds(timeout_ms), over)) {
    return make_error(timeout_ms == 0 ? Status::AGAIN : Status::TIMEOUT, "the server is still stopping");
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

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  if (!impl_) return;
  impl_->request_stop(Duration::zero());
  (void)impl_->wait_stopped(-1).ok();
}

Result<std::unique_ptr<Server>> Server::create(config::ServerConfig config, OpenStore open_store) {
  const size_t callback_queue = config.limits.event_queue;
  auto plan = make_plan(std::move(config));
  if (!plan) return plan.error();
  auto impl = std::make_unique<Impl>(plan->config, open_store ? std::move(open_store) : server::open_store);
  if (auto built = impl->build(std::make_shared<const Plan>(std::move(*plan))); !built) return built.error();
  impl->callback_queue_ = callback_queue;
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Result<void> Server::start() { return impl_->start(); }

Result<void> Server::stop(int32_t drain_ms, int32_t timeout_ms) {
  impl_->request_stop(milliseconds(std::max(0, drain_ms)));
  if (in_callback()) return make_error(Status::AGAIN, "stopping; it ends after this callback");
  return impl_->wait_stopped(timeout_ms);
}

State Server::state() const { return impl_->state(); }

std::vector<BoundEndpoint> Server::endpoints() const {
  MutexLock lock(impl_->mutex_);
  bool open = impl_->state_ == State::running || impl_->state_ == State::draining;
  return open ? impl_->endpoints_ : std::vector<BoundEndpoint>();
}

Result<std::shared_ptr<telemetry::EventQueue>> Server::subscribe(uint64_t type_mask, size_t capacity) {
  return impl_->hub_.subscribe(type_mask, capacity);
}

Result<void> Server::set_callbacks(Callbacks callbacks) {
  MutexLock lock(impl_->mutex_);
  if (impl_->state_ != State::created || impl_->starting_)
    return make_error(Status::BAD_STATE, "callbacks are set before start");
  impl_->callbacks_ = std::move(callbacks);
  return {};
}

bool Server::in_callback() const {
  MutexLock lock(impl_->mutex_);
  return impl_->dispatcher_ && impl_->dispatcher_->is_current();
}

// In the child no other thread is left.
NO_THREAD_SAFETY_ANALYSIS void Server::abandon_after_fork() noexcept {
  Impl* impl = impl_.release();  // leaked: its threads do not exist here
  impl->hub_.abandon_after_fork();
  if (impl->requests_) impl->requests_->abandon_after_fork();
  for (auto& shard : impl->shards_) shard->abandon_after_fork();
  for (auto& helper : impl->helpers_) helper->abandon_after_fork();
  if (impl->thread_) impl->thread_->abandon_after_fork();
  impl->stamps_->abandon_after_fork();
  if (impl->uapi_) impl->uapi_->abandon_after_fork();
  if (impl->dispatcher_) impl->dispatcher_->abandon_after_fork();
}

}  // namespace smartvpn::server
