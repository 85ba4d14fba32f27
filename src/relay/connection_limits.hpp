// How many connections there may be: in all, from one real address, on one route, and how many new ones an address may
// begin a minute. Any thread; the workers of a relay share one.
#pragma once

#include <string>
#include <unordered_map>

#include "acl/rate_limiter.hpp"
#include "base/mutex.hpp"
#include "config/relay_config.hpp"

namespace smartvpn::relay {

class ConnectionLimits {
 public:
  ConnectionLimits(const config::RelayLimitsConfig& limits, uint64_t hash_seed);

  // Changed limits hold for those who come; who is there stays.
  void set(const config::RelayLimitsConfig& limits);

  // Each `true` or Reason::none is followed by one leave.
  bool enter();
  void leave() noexcept;
  Reason enter_address(const inet::IpAddress& real, Time now);
  void leave_address(const inet::IpAddress& real, Time now) noexcept;
  // `most` 0: no limit.
  bool enter_route(const std::string& route, uint32_t most);
  void leave_route(const std::string& route) noexcept;

  uint64_t open() const;
  // Forgets addresses that have nothing open; once a second is often enough.
  void tick(Time now);

 private:
  mutable Mutex mutex_;
  uint64_t most_ GUARDED_BY(mutex_);
  uint64_t open_ GUARDED_BY(mutex_) = 0;
  acl::RateLimiter addresses_ GUARDED_BY(mutex_);
  std::unordered_map<std::string, uint64_t> routes_ GUARDED_BY(mutex_);  // those with something open
};

}  // namespace smartvpn::relay
