// What a server holds and how a command reaches its shard; for the sources of server::Server alone.
#pragma once

#include <atomic>

#include "base/answer.hpp"
#include "base/mutex.hpp"
#include "server/dispatcher.hpp"
#include "server/registry_hub.hpp"
#include "server/shard.hpp"
#include "server/uapi_service.hpp"

namespace smartvpn::server {

inline Error server_not_running() { return make_error(Status::BAD_STATE, "the server is not running"); }

// Lifecycle. `mutex_` guards the state and who joins the thread; it is never held while a command or
// the host's code runs. The first shard's thread itself waits for those of the others, says that the server has
// stopped, and destroys the shards: whoever stops without waiting learns of the end by the state and the events.
class Server::Impl {
 public:
  Impl(const config::ServerConfig& config, OpenStore open_store)
      : registry_config_(config.registry),
        open_store_(std::move(open_store)),
        registry_([this](size_t shard, const RegistryHub::Command& fn) { return command_on(shard, fn); },
                  {config.keys.wireguard_private_key.has_value(), config.registry.keep_private_keys},
                  config.limits.threads) {}
  // Shards, their rings, and what they share.
  Result<void> build(const std::shared_ptr<const Plan>& plan);

  Result<void> start();
  Result<void> prepare() REQUIRES(registry_.changing());
  Result<void> launch();
  Result<void> start_helpers();
  void stop_helpers() noexcept;
  void destroy_shards() noexcept;
  void fail_start();
  Result<void> open_registry() REQUIRES(registry_.changing());
  State state() const {
    MutexLock lock(mutex_);
    return state_;
  }
  Result<void> start_dispatcher();
  Result<void> start_stamps();
  // server_uapi.cpp: the `wg` tool's socket, where there is one.
  Result<void> start_uapi();
  Result<UapiFacts> uapi_facts();
  int uapi_get(std::string& out);
  int uapi_set(const wireguard::UapiRequest& request);
  void publish_log(const char* level, const std::string& message) noexcept;
  void close_queues();
  void become_stopped() REQUIRES(mutex_);  // with no thread
  void request_stop(Duration drain);
  Result<void> wait_stopped(int32_t timeout_ms);
  void on_thread_end();
  void on_store_closed();

  // Runs `fn(Shard&)` on the thread of that shard, the first one's for what concerns the server, and gives its
  // result. The posted command alone holds the giver, so that one which never runs is known to have gone.
  template <class Fn>
  auto command_on(size_t index, Fn fn) -> decltype(fn(std::declval<Shard&>())) {
    Answer<decltype(fn(std::declval<Shard&>()))> answer;
    {
      MutexLock lock(mutex_);
      changed_.wait(lock, [this]() REQUIRES(mutex_) { return !starting_; });
      if (state_ != State::running && state_ != State::draining) return server_not_running();
      Shard& shard = *shards_[index];
      auto body = [giver = answer.giver(), fn = std::move(fn), &shard]() mutable { giver.give(run(fn, shard)); };
      if (!shard.loop().post(std::move(body)))
        return shard.loop().stopped() ? server_not_running()
                                      : make_error(Status::LIMIT, "too many commands are waiting");
    }
    auto given = answer.wait();
    if (!given) return server_not_running();  // the server stopped before the command's turn came
    return std::move(*given);
  }
  template <class Fn>
  auto command(Fn fn) {
    return command_on(0, std::move(fn));
  }
  // `fn(Shard&)` on every shard in turn, the first one first, until one fails.
  template <class Fn>
  Result<void> command_everywhere(const Fn& fn) {
    for (size_t index = 0; index < shard_count_; ++index)
      if (auto done = command_on(index, [&fn](Shard& shard) -> Result<void> { return fn(shard); }); !done) return done;
    return {};
  }
  // Of the shard that made this id; a made-up id is anybody's.
  size_t owner_of(uint64_t session) const noexcept {
    const size_t owner = ShardIds(0, shard_count_).shard_of(session);
    return owner < shard_count_ ? owner : 0;
  }

  // What has no memory fails its caller and nobody else.
  template <class Fn>
  static auto run(Fn& fn, Shard& shard) -> decltype(fn(shard)) {
    try {
      return fn(shard);
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
  uint64_t adopted_ GUARDED_BY(mutex_) = 0;                       // which shard is next
  telemetry::EventHub hub_;
  Callbacks callbacks_;        // constant from start() on
  size_t callback_queue_ = 0;  // constant after create()
  std::atomic<uint64_t> callback_exceptions_{0};
  std::shared_ptr<RequestQueue> requests_;  // null: the host is not asked. Constant after create()
  std::unique_ptr<Dispatcher> dispatcher_ GUARDED_BY(mutex_);
  // In the order in which they need each other. Changed under mutex_; the shards' own threads read it without.
  std::unique_ptr<Control> control_;
  std::unique_ptr<Crossing> crossing_;  // null: one shard
  std::vector<std::unique_ptr<Shard>> shards_;
  size_t shard_count_ = 0;                             // constant after create()
  std::vector<std::unique_ptr<net::Thread>> helpers_;  // of all shards but the first, whose thread joins them
  std::unique_ptr<net::Thread> thread_ GUARDED_BY(mutex_);
  std::vector<BoundEndpoint> endpoints_ GUARDED_BY(mutex_);
  std::shared_ptr<forward::HostChannel> host_channel_ GUARDED_BY(mutex_);
  const config::RegistryConfig registry_config_;
  const OpenStore open_store_;
  RegistryHub registry_;
  // Written behind by its own thread while a WireGuard listener is there.
  const std::shared_ptr<HandshakeStamps> stamps_ = std::make_shared<HandshakeStamps>();
  std::unique_ptr<UapiService> uapi_;  // by whoever starts, then by the first shard's thread
};

}  // namespace smartvpn::server
