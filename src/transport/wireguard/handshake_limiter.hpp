// Under load, how many handshakes a source may begin: 20 a second, burst 5 (the kernel's ratelimiter). A source is an
// IPv4 address or an IPv6 /64. Bounded: a full table refuses newcomers and forgets the idle after a second. Any thread,
// because the shards of a server share one.
#pragma once

#include <unordered_map>

#include "base/clock.hpp"
#include "base/mutex.hpp"
#include "inet/address.hpp"

namespace smartvpn::wireguard {

class HandshakeLimiter {
 public:
  static constexpr uint32_t kPerSecond = 20, kBurst = 5;
  explicit HandshakeLimiter(size_t capacity = 8192) noexcept : capacity_(capacity) {}
  bool allow(const inet::IpAddress& source, Time now);
  size_t size() const {
    MutexLock lock(mutex_);
    return buckets_.size();
  }

 private:
  struct Bucket {
    Time last{};
    Duration tokens{};
  };
  void forget_idle(Time now) noexcept REQUIRES(mutex_);
  const size_t capacity_;
  mutable Mutex mutex_;
  std::unordered_map<inet::IpAddress, Bucket, inet::IpAddressHash> buckets_ GUARDED_BY(mutex_);
  Time swept_ GUARDED_BY(mutex_){};
};

}  // namespace smartvpn::wireguard
