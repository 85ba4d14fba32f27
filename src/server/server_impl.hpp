// What a server holds and how a command reaches its shard; for the sources of server::Server alone.
#pragma once

#include <atomic>

#include "base/answer.hpp"
#include "base/mutex.hpp"
#include "server/dispatcher.hpp"
#include "server/registry_hub.hpp"
#include "server/shard.hpp"

namespace smartvpn::server {

inline Error server_not_running() { return make_error(Status::BAD_STATE, "the server is not running"); }

// Lifecycle. `mutex_` guards the state and who joins the thread; it is never held while a command or
// the host's code runs. The shard's thread itself says that the server has stopped, and destroys the
// shard: whoever stops without waiting learns of the end by the state and the events.
class Server::Impl {
 public:
  Impl(const config::ServerConfig& config, OpenStore open_store)
      : registry_config_(config.registry),
        open_store_(std::move(open_store)),
        registry_([this](const RegistryHub::Command& fn) { return command([&] { return fn(*shard_); }); },
                  {config.keys.wireguard_private_key.has_value(), config.registry.keep_private_keys}) {}

  Result<void> start();
  Result<void> prepare() REQUIRES(registry_.changing());
  Result<void> launch();
  void fail_start();
  Result<void> open_registry() REQUIRES(registry_.changing());
  State state() const {
    MutexLock lock(mutex_);
    return state_;
  }
  Result<void> start_dispatcher();
  Result<void> start_stamps();
  void publish_log(const char* level, const std::string& message) noexcept;
  void close_queues();
  void become_stopped() REQUIRES(mutex_);  // with no thread
  void request_stop(Duration drain);
  Result<void> wait_stopped(int32_t timeout_ms);
  void on_thread_end();
  void on_store_closed();

  // Runs `fn` on the shard's thread and gives its result. The posted command alone holds the giver, so that one
  // which never runs is known to have gone.
  template <class Fn>
  auto command(Fn fn) -> decltype(fn()) {
    Answer<decltype(fn())> answer;
    {
      MutexLock lock(mutex_);
      changed_.wait(lock, [this]() REQUIRES(mutex_) { return !starting_; });
      if (state_ != State::running && state_ != State::draining) return server_not_running();
      if (!shard_->loop().post([giver = answer.giver(), fn = std::move(fn)]() mutable { giver.give(run(fn)); }))
        return shard_->loop().stopped() ? server_not_running()
                                        : make_error(Status::LIMIT, "too many commands are waiting");
    }
    auto given = answer.wait();
    if (!given) return server_not_running();  // the server stopped before the command's turn came
    return std::move(*given);
  }

  // What has no memory fails its caller and nobody else.
  template <class Fn>
  static auto run(Fn& fn) -> decltype(fn()) {
    try {
      return fn();
    } catch (const std::bad_alloc&) {
      return Error{Status::NO_MEMORY, {}, 0, {}};
    }
  }

  mutable Mutex mutex_;
  CondVar changed_;
  State state_ GUARDED_BY(mutex_) = State::created;
  bool joining_ GUARDED_BY(mutex_) = false;
  // From start() until the thread has given up the store, the last thing it does.
  bool serving_ GUARDED_BY(mutex_) = false;
  bool starting_ GUARDED_BY(mutex_) = false;  // in start(), which holds no lock while it waits for the disk
  std::optional<Duration> stop_when_started_ GUARDED_BY(mutex_);  // the drain of a stop() that came meanwhile
  telemetry::EventHub hub_;
  Callbacks callbacks_;        // constant from start() on
  size_t callback_queue_ = 0;  // constant after create()
  std::atomic<uint64_t> callback_exceptions_{0};
  std::shared_ptr<RequestQueue> requests_;  // null: the host is not asked. Constant after create()
  std::unique_ptr<Dispatcher> dispatcher_ GUARDED_BY(mutex_);
  std::unique_ptr<Shard> shard_;  // changed under mutex_; its own thread, and what runs there, reads it without
  std::unique_ptr<net::Thread> thread_ GUARDED_BY(mutex_);
  std::vector<BoundEndpoint> endpoints_ GUARDED_BY(mutex_);
  std::shared_ptr<forward::HostChannel> host_channel_ GUARDED_BY(mutex_);
  const config::RegistryConfig registry_config_;
  const OpenStore open_store_;
  RegistryHub registry_;
  // Written behind by its own thread while a WireGuard listener is there.
  const std::shared_ptr<HandshakeStamps> stamps_ = std::make_shared<HandshakeStamps>();
};

}  // namespace smartvpn::server
