// What a server holds and how a command reaches its shard; for the sources of server::Server alone.
#pragma once

#include <future>

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
  explicit Impl(const config::ServerConfig& config)
      : registry_config_(config.registry),
        registry_([this](const RegistryHub::Command& fn) { return command([&] { return fn(*shard_); }); },
                  {config.keys.wireguard_private_key.has_value(), config.registry.keep_private_keys}) {}

  Result<void> start();
  Result<void> start_locked() REQUIRES(registry_.changing());
  Result<void> open_registry() REQUIRES(registry_.changing(), mutex_);
  State state() const {
    MutexLock lock(mutex_);
    return state_;
  }
  Result<void> start_dispatcher() REQUIRES(mutex_);
  void close_queues();
  void request_stop(Duration drain);
  Result<void> wait_stopped(int32_t timeout_ms);
  void on_thread_end();

  // Runs `fn` on the shard's thread and gives its result. The posted command alone holds the promise, so
  // that one which never runs breaks it.
  template <class Fn>
  auto command(Fn fn) -> decltype(fn()) {
    auto promise = std::make_shared<std::promise<decltype(fn())>>();
    auto future = promise->get_future();
    {
      MutexLock lock(mutex_);
      if (state_ != State::running && state_ != State::draining) return server_not_running();
      if (!shard_->loop().post([promise = std::move(promise), fn = std::move(fn)]() mutable { run(*promise, fn); }))
        return shard_->loop().stopped() ? server_not_running()
                                        : make_error(Status::LIMIT, "too many commands are waiting");
    }
    try {
      return future.get();
    } catch (const std::future_error&) {
      return server_not_running();  // the server stopped before the command's turn came
    }
  }

  // What has no memory fails its caller and nobody else.
  template <class Answer, class Fn>
  static void run(std::promise<Answer>& promise, Fn& fn) {
    try {
      promise.set_value(fn());
    } catch (const std::bad_alloc&) {
      promise.set_value(Error{Status::NO_MEMORY, {}, 0, {}});
    }
  }

  mutable Mutex mutex_;
  CondVar changed_;
  State state_ GUARDED_BY(mutex_) = State::created;
  bool joining_ GUARDED_BY(mutex_) = false;
  telemetry::EventHub hub_;
  Callbacks callbacks_ GUARDED_BY(mutex_);
  size_t callback_queue_ = 0;               // constant after create()
  std::shared_ptr<RequestQueue> requests_;  // null: the host is not asked. Constant after create()
  std::unique_ptr<Dispatcher> dispatcher_ GUARDED_BY(mutex_);
  std::unique_ptr<Shard> shard_;  // changed under mutex_; its own thread, and what runs there, reads it without
  std::unique_ptr<net::Thread> thread_ GUARDED_BY(mutex_);
  std::vector<BoundEndpoint> endpoints_ GUARDED_BY(mutex_);
  std::shared_ptr<forward::HostChannel> host_channel_ GUARDED_BY(mutex_);
  const config::RegistryConfig registry_config_;
  RegistryHub registry_;
};

}  // namespace smartvpn::server
