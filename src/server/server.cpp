// The lifecycle of a server, and its commands; those of the registry are in server_registry.cpp.
#include "server/server_impl.hpp"
#include "server/store_factory.hpp"

namespace smartvpn::server {

Result<void> Server::Impl::open_registry() {
  auto store = open_store_(registry_config_);
  if (!store) return store.error();
  return registry_.start(std::move(*store), *shard_, shard_->config().clients);
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
  if (auto ok = shard_->open(); !ok) return ok;
  return start_stamps();
}

Result<void> Server::Impl::launch() {
  std::optional<Duration> stop;
  {
    MutexLock lock(mutex_);
    endpoints_ = shard_->endpoints();
    host_channel_ = shard_->host_channel();
    auto thread = net::Thread::start("svpn-shard0", [this] {
      shard_->run();
      on_thread_end();
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
  {
    MutexLock lock(mutex_);
    starting_ = false;  // first: a change that waits for it in command() holds the registry's lock
    serving_ = true;    // stop() is over when the store is closed
    become_stopped();
  }
  stamps_->stop();
  registry_.stop();
  on_store_closed();
}

void Server::Impl::become_stopped() {
  state_ = State::stopped;
  host_channel_.reset();
  shard_.reset();
  close_queues();
  changed_.notify_all();
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
  if (!shard_->speaks_wireguard()) return {};
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
      while (!shard_->loop().post([this, drain] { shard_->begin_drain(drain); })) {
        if (shard_->loop().stopped()) break;
      }
    } catch (const std::bad_alloc&) {
      shard_->loop().stop();  // without a goodbye, but it ends
    }
  }
}

void Server::Impl::on_thread_end() {
  std::unique_ptr<Shard> shard;
  MutexLock lock(mutex_);
  state_ = State::stopped;
  shard = std::move(shard_);
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
  auto shard = Shard::create(std::move(*plan), impl->hub_, impl->stamps_);
  if (!shard) return shard.error();
  impl->shard_ = std::move(*shard);
  impl->requests_ = impl->shard_->requests();
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

Result<std::vector<SessionInfo>> Server::sessions() {
  return impl_->command([this]() -> Result<std::vector<SessionInfo>> { return impl_->shard_->sessions(); });
}
Result<SessionInfo> Server::session(uint64_t id) {
  return impl_->command([this, id] { return impl_->shard_->session(id); });
}
Result<void> Server::disconnect(uint64_t session_id, Reason reason) {
  return impl_->command([this, session_id, reason] { return impl_->shard_->disconnect(session_id, reason); });
}
Result<telemetry::StatsSnapshot> Server::stats() {
  return impl_->command([this]() -> Result<telemetry::StatsSnapshot> {
    telemetry::StatsSnapshot out = impl_->shard_->stats();
    out.callback_exceptions = impl_->callback_exceptions_;
    return out;
  });
}
Result<telemetry::ClientStats> Server::client_stats(const std::string& id) {
  return impl_->command([this, id] { return impl_->shard_->client_stats(id); });
}
Result<void> Server::reconfigure(config::ServerConfig next,
                                 const std::vector<std::pair<std::string, std::string>>& told) {
  auto plan = make_plan(std::move(next));
  if (!plan) return plan.error();
  impl_->registry_.set_rules(
      {plan->config.keys.wireguard_private_key.has_value(), plan->config.registry.keep_private_keys});
  return impl_->registry_.declare(plan->config.clients, [&plan, &told](Shard& shard) -> Result<void> {
    shard.reconfigure(*plan, told);
    return {};
  });
}
Result<void> Server::reload_certificates() {
  // Files are read here: the shard never waits for the disk.
  auto contexts = impl_->command([this]() -> Result<Shard::TlsContexts> { return impl_->shard_->tls_contexts(); });
  if (!contexts) return contexts.error();
  for (auto& context : *contexts) {
    if (!context) continue;
    auto fresh = context->reloaded();
    if (!fresh) return fresh.error();
    context = std::move(*fresh);
  }
  return impl_->command([this, &contexts]() -> Result<void> {
    impl_->shard_->set_tls_contexts(std::move(*contexts));
    return {};
  });
}

namespace {

Error nobody_is_asked() {
  return make_error(Status::BAD_STATE, "the host is asked only with security.authorize \"required\"");
}

}  // namespace

Result<RequestPtr> Server::authorize_next(int32_t timeout_ms, const RequestQueue::Ready& ready) {
  return impl_->requests_ ? impl_->requests_->next(timeout_ms, ready) : nobody_is_asked();
}

Result<int> Server::authorize_fd() const {
  return impl_->requests_ ? Result<int>(impl_->requests_->fd()) : nobody_is_asked();
}

Result<void> Server::authorize_answer(uint64_t token, const Authorizer::Answer& answer) {
  if (!impl_->requests_) return nobody_is_asked();
  auto answered = impl_->command([this, token, answer] { return impl_->shard_->authorize_answer(token, answer); });
  if (!answered && answered.error().status == Status::BAD_STATE)
    return make_error(Status::NOT_FOUND, "the server is not running, so nothing is open");
  return answered;
}

namespace {

Error no_host_engine() {
  return make_error(Status::BAD_STATE, "packets need forwarding.mode \"host\" and a started server");
}

}  // namespace

Result<size_t> Server::packets_read(ByteSpan arena, std::span<forward::HostPacket> meta, int32_t timeout_ms) {
  std::shared_ptr<forward::HostChannel> channel;
  {
    MutexLock lock(impl_->mutex_);
    channel = impl_->host_channel_;
  }
  return channel ? channel->read(arena, meta, timeout_ms) : no_host_engine();
}

Result<size_t> Server::packets_write(ByteView arena, std::span<const forward::HostPacket> meta) {
  std::shared_ptr<forward::HostChannel> channel;
  {
    MutexLock lock(impl_->mutex_);
    channel = impl_->host_channel_;
  }
  return channel ? channel->write(arena, meta) : no_host_engine();
}

Result<int> Server::packets_fd() const {
  MutexLock lock(impl_->mutex_);
  if (!impl_->host_channel_) return no_host_engine();
  return impl_->host_channel_->fd();
}

// In the child no other thread is left.
NO_THREAD_SAFETY_ANALYSIS void Server::abandon_after_fork() noexcept {
  Impl* impl = impl_.release();  // leaked: its threads do not exist here
  impl->hub_.abandon_after_fork();
  if (impl->requests_) impl->requests_->abandon_after_fork();
  if (impl->shard_) impl->shard_->abandon_after_fork();
  if (impl->thread_) impl->thread_->abandon_after_fork();
  impl->stamps_->abandon_after_fork();
  if (impl->dispatcher_) impl->dispatcher_->abandon_after_fork();
}

}  // namespace smartvpn::server
