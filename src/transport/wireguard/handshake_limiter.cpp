// See handshake_limiter.hpp. Tokens are time: each costs 50 ms, and a bucket holds five.
#include "transport/wireguard/handshake_limiter.hpp"

#include <algorithm>

namespace smartvpn::wireguard {
namespace {

constexpr Duration kCost = Duration{seconds(1)} / HandshakeLimiter::kPerSecond;
static_assert(kCost == milliseconds(50));  // whole seconds would have divided to none
constexpr Duration kFull = kCost * HandshakeLimiter::kBurst;

}  // namespace

bool HandshakeLimiter::allow(const inet::IpAddress& source, Time now) {
  MutexLock lock(mutex_);
  const inet::IpAddress key = inet::limit_key(source);
  auto it = buckets_.find(key);
  if (it == buckets_.end()) {
    if (buckets_.size() >= capacity_) forget_idle(now);
    if (buckets_.size() >= capacity_) return false;
    buckets_.emplace(key, Bucket{now, kFull - kCost});
    return true;
  }
  Bucket& bucket = it->second;
  bucket.tokens = std::min<Duration>(kFull, bucket.tokens + std::max(Duration{0}, Duration{now - bucket.last}));
  bucket.last = now;
  if (bucket.tokens < kCost) return false;
  bucket.tokens -= kCost;
  return true;
}

// A source that was silent for a second has a full bucket again: forgetting it changes nothing.
void HandshakeLimiter::forget_idle(Time now) noexcept {
  if (now - swept_ < seconds(1) && swept_ != Time{}) return;
  swept_ = now;
  std::erase_if(buckets_, [now](const auto& entry) { return now - entry.second.last >= seconds(1); });
}

}  // namespace smartvpn::wireguard
