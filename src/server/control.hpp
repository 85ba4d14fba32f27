// What the shards of a server share: who is registered, who has which address, who is let in and how often, and which
// session is whose. One lock, taken when somebody comes, is admitted, leaves or moves, when the registry changes and
// once a second; never for a packet. Whoever holds it calls no carrier, because a carrier that ends a connection asks
// for it: what has to end is noted, and ended once the lock is given back. What another shard has to do waits for it
// here, in a form that needs no memory, and that shard is woken.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "acl/rate_limiter.hpp"
#include "base/mutex.hpp"
#include "forward/tun/tun_engine.hpp"
#include "net/loop.hpp"
#include "registry/address_pool.hpp"
#include "server/client_account.hpp"
#include "server/client_directory.hpp"
#include "server/late_verdicts.hpp"
#include "server/memory_guard.hpp"
#include "server/plan.hpp"
#include "server/route_log.hpp"
#include "server/session_index.hpp"
#include "server/shared_throttle.hpp"
#include "transport/wireguard/handshake_limiter.hpp"

namespace smartvpn::server {

class Shard;

// It outlives the shards.
struct Control {
  // As Server::create; `shards` is 1 to kMaxShards.
  static Result<std::unique_ptr<Control>> create(const Plan& plan, size_t shards);

  const size_t shards;
  Mutex mutex;
  registry::AddressPool addresses GUARDED_BY(mutex);
  RouteLog routes;  // appended to under the lock, read without it
  std::unique_ptr<ClientDirectory> clients GUARDED_BY(mutex);
  ClientAccounts accounts GUARDED_BY(mutex);
  SessionIndex sessions GUARDED_BY(mutex);
  acl::RateLimiter limiter GUARDED_BY(mutex);
  acl::HandshakeGate handshakes GUARDED_BY(mutex);
  // Connections whose PROXY header is awaited, by proxy. Only trusted proxies have a place here.
  std::unordered_map<inet::IpAddress, uint32_t, inet::IpAddressHash> awaiting_header GUARDED_BY(mutex);
  LateVerdicts verdicts GUARDED_BY(mutex);
  // Queues of the tun device for the other shards, by shard - 1, until each takes its own.
  std::vector<forward::TunQueue> tun_queues GUARDED_BY(mutex);
  std::optional<Authorizer> authorizer GUARDED_BY(mutex);
  const std::shared_ptr<RequestQueue> requests;  // where the host is asked; null: it is not
  MemoryBook memory;
  SharedThrottle rejections;
  std::atomic<uint64_t> rotations_over{0};  // how often some have run out
  SecretKey cookie_seed;                    // of all WireGuard carriers. Constant
  const std::shared_ptr<wireguard::HandshakeLimiter> handshake_limiter =
      std::make_shared<wireguard::HandshakeLimiter>();

  MemoryBook* memory_book() noexcept { return shards > 1 ? &memory : nullptr; }

  // Each shard and how it is woken, from before its thread runs until no shard's thread runs any more.
  void set_port(size_t shard, Shard* owner, net::Wake* wake) noexcept {
    ports_[shard].shard = owner;
    ports_[shard].wake = wake;
  }
  Shard* shard(size_t shard) const noexcept { return shard < shards ? ports_[shard].shard : nullptr; }
  // Any thread. Has the shard look at its rings and at the log of routes.
  void wake(size_t shard) noexcept {
    if (ports_[shard].wake) ports_[shard].wake->wake();
  }
  void wake_others(size_t shard) noexcept;
  // The same for verdicts that have arrived, sessions that were condemned, and a queue of the device.
  void send_mail(size_t shard) noexcept;
  // On the shard's thread: there may be some now.
  bool take_mail(size_t shard) noexcept { return ports_[shard].mail.exchange(false, std::memory_order_acquire); }
  // Wakes all but `shard` for whom verdicts have arrived.
  void send_verdicts(size_t shard) noexcept REQUIRES(mutex);

  // A shard that is through with draining says so, once; it goes on until all are.
  void note_drained() noexcept { drained_.fetch_add(1, std::memory_order_acq_rel); }
  bool all_drained() const noexcept { return drained_.load(std::memory_order_acquire) >= shards; }

 private:
  struct Port {
    Shard* shard = nullptr;
    net::Wake* wake = nullptr;
    std::atomic<bool> mail{false};
  };
  Control(const Plan& plan, size_t count, registry::AddressPool pool, std::shared_ptr<RequestQueue> queue);
  void settle(uint64_t connection, const Authorizer::Outcome& outcome) noexcept;

  std::vector<Port> ports_;
  std::atomic<size_t> drained_{0};
};

acl::RateLimits rate_limits(const config::SecurityConfig& security);

}  // namespace smartvpn::server
