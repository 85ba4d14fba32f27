// See relay.hpp. The object itself has no thread: it asks its workers, and waits.
#include "relay/relay.hpp"

#include <algorithm>

#include "net/thread.hpp"
#include "relay/worker.hpp"

namespace smartvpn::relay {

class Relay::Impl {
 public:
  Impl(const config::RelayConfig& config, PlanPtr plan)
      : plan_(std::move(plan)), event_capacity_(config.limits.event_queue), shared_(config.limits), config_(config) {}
  ~Impl() {
    if (abandoned_) return;
    for (auto& thread : threads_) thread->join();
  }

  Result<void> start();
  Result<void> stop(int32_t drain_ms, int32_t timeout_ms);
  Result<void> reconfigure(const config::RelayConfig& next,
                           const std::vector<std::pair<std::string, std::string>>& told);
  Result<void> reload_certificates();
  Result<void> take_plan(PlanPtr plan) REQUIRES(reconfiguring_);
  // Runs `command` in each worker, one after the other, and waits. BAD_STATE where one does not run.
  template <class Command>
  Result<void> ask(Command&& command);

  State state() const {
    MutexLock lock(mutex_);
    return state_;
  }
  Result<void> make_workers();
  void stop_workers(int32_t drain_ms);
  void worker_finished();
  bool wait_if_finishing();
  void set_endpoints(const RelayPlan& plan, const Worker::Ports& ports);
  Result<void> prepare_all(const RelayPlan& plan, Worker::Ports& ports);

  // What a command leaves behind for who waits; both may go first.
  struct Answer {
    Mutex mutex;
    CondVar changed;
    bool done GUARDED_BY(mutex) = false;
  };

  PlanPtr plan_;
  const size_t event_capacity_;
  SharedState shared_;
  Mutex reconfiguring_;
  mutable Mutex mutex_;
  CondVar changed_;
  State state_ GUARDED_BY(mutex_) = State::created;
  size_t finished_ GUARDED_BY(mutex_) = 0;
  int64_t started_ms_ GUARDED_BY(mutex_) = 0;
  std::vector<BoundEndpoint> endpoints_ GUARDED_BY(mutex_);
  config::RelayConfig config_ GUARDED_BY(reconfiguring_);  // that it runs on
  Worker::Ports ports_ GUARDED_BY(reconfiguring_);
  // Made in start(), and as they are from then on.
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::unique_ptr<net::Thread>> threads_;
  bool abandoned_ = false;
};

Result<void> Relay::Impl::make_workers() {
  while (workers_.size() < plan_->limits.threads) {
    auto worker = Worker::create(shared_, plan_);
    if (!worker) return std::move(worker).error();
    workers_.push_back(std::move(*worker));
  }
  MutexLock lock(reconfiguring_);
  if (auto prepared = prepare_all(*plan_, ports_); !prepared) return prepared;
  for (auto& worker : workers_) worker->commit(plan_);
  set_endpoints(*plan_, ports_);
  return {};
}

// Before the loops run, or inside a command for each of them.
Result<void> Relay::Impl::prepare_all(const RelayPlan& plan, Worker::Ports& ports) {
  for (size_t i = 0; i < workers_.size(); ++i) {
    const auto alone = workers_.size() == 1 ? net::PortSharing::none : net::PortSharing::found;
    auto prepared = workers_[i]->prepare(plan, i == 0 ? alone : net::PortSharing::join, ports);
    if (!prepared) return prepared;
  }
  return {};
}

Result<void> Relay::Impl::start() {
  MutexLock lock(mutex_);
  if (state_ != State::created) return make_error(Status::BAD_STATE, "the relay was started before");
  state_ = State::stopped;  // until it has worked
  lock.unlock();
  if (auto made = make_workers(); !made) {
    workers_.clear();
    shared_.hub.close();
    return made;
  }
  lock.lock();
  for (auto& worker : workers_) {
    auto thread = net::Thread::start("svpn-relay", [this, &one = *worker] {
      one.loop().run();
      worker_finished();
    });
    if (!thread) {
      const size_t running = threads_.size();
      for (auto& made : workers_) made->loop().stop();
      changed_.wait(lock, [&]() REQUIRES(mutex_) { return finished_ == running; });
      lock.unlock();
      threads_.clear();
      workers_.clear();
      shared_.hub.close();
      return std::move(thread).error();
    }
    threads_.push_back(std::move(*thread));
  }
  started_ms_ = wall_clock_ms();
  state_ = State::running;
  return {};
}

void Relay::Impl::worker_finished() {
  MutexLock lock(mutex_);
  ++finished_;
  if (state_ == State::draining && finished_ == workers_.size()) {
    state_ = State::stopped;
    shared_.hub.close();
  }
  changed_.notify_all();
}

Result<void> Relay::Impl::stop(int32_t drain_ms, int32_t timeout_ms) {
  MutexLock lock(mutex_);
  if (state_ == State::created) {
    state_ = State::stopped;
    shared_.hub.close();
  }
  if (state_ == State::stopped) return {};
  state_ = State::draining;
  lock.unlock();
  stop_workers(drain_ms);
  lock.lock();
  auto stopped = [this]() REQUIRES(mutex_) { return state_ == State::stopped; };
  if (timeout_ms < 0) {
    changed_.wait(lock, stopped);
    return {};
  }
  if (changed_.wait_for(lock, milliseconds(timeout_ms), stopped)) return {};
  return make_error(timeout_ms == 0 ? Status::AGAIN : Status::TIMEOUT, "the relay goes on stopping");
}

// A worker whose queue of commands is full is asked again; it always comes to it.
void Relay::Impl::stop_workers(int32_t drain_ms) {
  const Duration drain = milliseconds(std::max(drain_ms, 0));
  for (auto& worker : workers_) {
    Worker* one = worker.get();
    while (!one->loop().stopped() && !one->loop().post([one, drain] { one->drain(drain); })) {
      MutexLock lock(mutex_);
      changed_.wait_for(lock, milliseconds(1), [] { return false; });
    }
  }
}

// Workers that have finished run no more commands; where one has, the others soon do. True once all have.
bool Relay::Impl::wait_if_finishing() {
  MutexLock lock(mutex_);
  if (finished_ == 0) return false;
  changed_.wait(lock, [this]() REQUIRES(mutex_) { return finished_ == workers_.size(); });
  return true;
}

template <class Command>
Result<void> Relay::Impl::ask(Command&& command) {
  {
    MutexLock lock(mutex_);
    if (state_ != State::running && state_ != State::draining)
      return make_error(Status::BAD_STATE, "the relay is not running");
  }
  for (auto& worker : workers_) {
    auto answer = std::make_shared<Answer>();
    Worker* one = worker.get();
    // `command` is this function's: who waits stays until it has run, or never will.
    const bool posted = one->loop().post([answer, one, &command] {
      command(*one);
      MutexLock lock(answer->mutex);
      answer->done = true;
      answer->changed.notify_all();
    });
    if (!posted) return make_error(Status::BAD_STATE, "the relay is stopping");
    MutexLock lock(answer->mutex);
    auto done = [&]() REQUIRES(answer->mutex) { return answer->done; };
    while (!answer->changed.wait_for(lock, milliseconds(50), done)) {
      lock.unlock();
      const bool over = wait_if_finishing();
      lock.lock();
      if (over && !answer->done) return make_error(Status::BAD_STATE, "the relay is stopping");
    }
  }
  return {};
}

Result<void> Relay::Impl::reconfigure(const config::RelayConfig& next,
                                      const std::vector<std::pair<std::string, std::string>>& told) {
  auto plan = RelayPlan::compile(next);
  if (!plan) return std::move(plan).error();
  MutexLock lock(reconfiguring_);
  if (auto taken = take_plan(std::move(*plan)); !taken) return taken;
  shared_.limits.set(next.limits);
  config_ = next;
  if (shared_.hub.wanted(telemetry::EventType::reconfigured))
    shared_.hub.publish(
        telemetry::Event(telemetry::EventType::reconfigured, wall_clock_ms()).set_object("changes", told));
  return {};
}

// A plan reads them when it is compiled.
Result<void> Relay::Impl::reload_certificates() {
  MutexLock lock(reconfiguring_);
  auto plan = RelayPlan::compile(config_);
  if (!plan) return std::move(plan).error();
  return take_plan(std::move(*plan));
}

Result<void> Relay::Impl::take_plan(PlanPtr plan) {
  if (state() != State::running) return make_error(Status::BAD_STATE, "the relay is not running");
  Worker::Ports ports = ports_;
  Result<void> prepared;
  auto sharing = workers_.size() == 1 ? net::PortSharing::none : net::PortSharing::found;
  auto asked = ask([&](Worker& worker) {
    if (prepared) prepared = worker.prepare(*plan, sharing, ports);
    sharing = net::PortSharing::join;
  });
  if (asked && prepared) asked = ask([&](Worker& worker) { worker.commit(plan); });
  if (!asked || !prepared) {
    (void)ask([](Worker& worker) { worker.forget_prepared(); });
    return asked ? prepared : asked;
  }
  std::erase_if(ports, [&](const auto& entry) {
    return std::none_of(plan->sockets.begin(), plan->sockets.end(),
                        [&](auto& socket) { return socket.key == entry.first; });
  });
  ports_ = std::move(ports);
  set_endpoints(*plan, ports_);
  plan_ = std::move(plan);
  return {};
}

void Relay::Impl::set_endpoints(const RelayPlan& plan, const Worker::Ports& ports) {
  std::vector<BoundEndpoint> endpoints;
  for (const SocketPlan& socket : plan.sockets)
    if (const auto found = ports.find(socket.key); found != ports.end())
      endpoints.push_back({socket.listener, socket.key.protocol, found->second});
  MutexLock lock(mutex_);
  endpoints_ = std::move(endpoints);
}

Relay::Relay(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Relay::~Relay() {
  if (impl_) (void)impl_->stop(0, -1);
}

Result<std::unique_ptr<Relay>> Relay::create(const config::RelayConfig& config) {
  auto plan = RelayPlan::compile(config);
  if (!plan) return std::move(plan).error();
  return std::unique_ptr<Relay>(new Relay(std::make_unique<Impl>(config, std::move(*plan))));
}

Result<void> Relay::start() { return impl_->start(); }
Result<void> Relay::stop(int32_t drain_ms, int32_t timeout_ms) { return impl_->stop(drain_ms, timeout_ms); }
Relay::State Relay::state() const { return impl_->state(); }

std::vector<BoundEndpoint> Relay::endpoints() const {
  MutexLock lock(impl_->mutex_);
  return impl_->endpoints_;
}

Result<std::shared_ptr<telemetry::EventQueue>> Relay::subscribe(uint64_t type_mask, size_t capacity) {
  return impl_->shared_.hub.subscribe(type_mask, capacity != 0 ? capacity : impl_->event_capacity_);
}

Result<RelaySnapshot> Relay::stats() {
  Worker::Share sum;
  if (auto asked = impl_->ask([&](Worker& worker) { worker.add_to(sum); }); !asked) return asked.error();
  RelaySnapshot out;
  out.time_ms = wall_clock_ms();
  {
    MutexLock lock(impl_->mutex_);
    out.started_ms = impl_->started_ms_;
  }
  out.events_lost = impl_->shared_.hub.lost();
  out.total = sum.total;
  out.rates = sum.rates;
  out.rejections = sum.rejections;
  out.ended = sum.ended;
  out.udp = sum.udp;
  out.udp_drops = sum.udp_drops;
  out.routes = std::move(sum.routes);
  for (auto& [ip, row] : sum.addresses) out.addresses.push_back(row);
  std::sort(out.addresses.begin(), out.addresses.end(), [](const AddressStats& a, const AddressStats& b) {
    const uint64_t x = a.bytes_in + a.bytes_out, y = b.bytes_in + b.bytes_out;
    return x != y ? x > y : a.address < b.address;
  });
  if (out.addresses.size() > RelaySnapshot::kMaxAddresses) out.addresses.resize(RelaySnapshot::kMaxAddresses);
  out.other_addresses = sum.other_addresses;
  return out;
}

Result<std::vector<ConnectionInfo>> Relay::connections() {
  std::vector<ConnectionInfo> out;
  if (auto asked = impl_->ask([&](Worker& worker) { worker.list(out); }); !asked) return asked.error();
  std::sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.id < b.id; });
  return out;
}

Result<void> Relay::disconnect(uint64_t id) {
  bool found = false;
  auto asked = impl_->ask([&](Worker& worker) { found = found || worker.close_one(id, Reason::disconnected); });
  if (!asked) return asked;
  return found ? Result<void>() : Result<void>(make_error(Status::NOT_FOUND, "no such connection"));
}

Result<void> Relay::reconfigure(const config::RelayConfig& next,
                                const std::vector<std::pair<std::string, std::string>>& told) {
  return impl_->reconfigure(next, told);
}

void Relay::set_vpn_door(VpnDoor door) { impl_->shared_.set_vpn_door(std::move(door)); }

Result<void> Relay::reload_certificates() { return impl_->reload_certificates(); }

// In the child no other thread is left.
NO_THREAD_SAFETY_ANALYSIS void Relay::abandon_after_fork() noexcept {
  Impl* impl = impl_.release();  // leaked: its threads do not exist here
  impl->abandoned_ = true;
  impl->shared_.hub.abandon_after_fork();
  for (auto& worker : impl->workers_) worker->abandon_after_fork();
  for (auto& thread : impl->threads_) thread->abandon_after_fork();
}

}  // namespace smartvpn::relay
