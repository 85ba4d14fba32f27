// How much one source may ask for: open connections at a time, new connections a minute, and for all
// sources together the handshakes in progress. A source is inet::limit_key of the real address (an
// IPv6 /64); before a PROXY header is read and for clients without an address, of the proxy's.
// One per shard, not thread-safe; memory is bounded by `max_sources`.
#pragma once

#include <unordered_map>

#include "base/clock.hpp"
#include "base/reason.hpp"
#include "inet/address.hpp"

namespace smartvpn::acl {

struct RateLimits {
  uint32_t connections_per_source = 100;  // open at a time; 0: no limit
  uint32_t new_per_minute = 300;          // token bucket, refilled evenly; 0: no limit
  uint32_t burst = 0;                     // bucket size; 0: new_per_minute
  uint32_t max_sources = 65536;           // entries of the table
};

class RateLimiter {
 public:
  // `hash_seed` from the Rng, so that a peer cannot pick addresses that collide.
  explicit RateLimiter(const RateLimits& limits, uint64_t hash_seed = 0);

  // A new connection. `none`: it is counted open and closed() must follow once. `rate_limited`: no
  // token, or the table is full and the source is not in it; `too_many_connections`: too many open.
  // A refused connection takes no token and needs no closed().
  Reason open(const inet::IpAddress& real, Time now);
  void closed(const inet::IpAddress& real, Time now);

  // Forgets sources with nothing open and a full bucket, a bounded number of slots a call: cheap
  // enough for once a second, and a few dozen calls go round a full table.
  void tick(Time now);

  // For changed configuration; what is open stays open.
  void set_limits(const RateLimits& limits) { set(limits); }

  size_t source_count() const noexcept { return sources_.size(); }
  uint32_t open_count(const inet::IpAddress& real) const noexcept;

 private:
  struct Source {
    uint32_t open = 0;
    Time full_at{};  // when the bucket is full again; in the past: it is full
  };
  struct Hash {
    uint64_t seed;
    size_t operator()(const inet::IpAddress& ip) const noexcept;
  };
  void set(const RateLimits& limits);
  void sweep(Time now, size_t buckets);
  bool forgettable(const Source& source, Time now) const noexcept { return source.open == 0 && source.full_at <= now; }

  RateLimits limits_;
  Duration token_{};     // time in which one token grows
  Duration capacity_{};  // time in which an empty bucket fills
  std::unordered_map<inet::IpAddress, Source, Hash> sources_;
  size_t cursor_ = 0;  // bucket at which the next sweep goes on
};

// Asymmetric operations under way, over all sources.
class HandshakeGate {
 public:
  explicit HandshakeGate(uint32_t max) noexcept : max_(max) {}  // 0: no limit
  // False: too many; no leave() then.
  bool enter() noexcept {
    if (max_ != 0 && count_ >= max_) return false;
    ++count_;
    return true;
  }
  void leave() noexcept {
    if (count_ > 0) --count_;
  }
  void set_max(uint32_t max) noexcept { max_ = max; }
  uint32_t count() const noexcept { return count_; }

 private:
  uint32_t max_;
  uint32_t count_ = 0;
};

}  // namespace smartvpn::acl
