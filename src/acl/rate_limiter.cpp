// One small entry for each source that has something open or a bucket that is not full. The bucket
// is kept as the time when it will be full, so nothing has to be counted while nothing happens.
#include "acl/rate_limiter.hpp"

namespace smartvpn::acl {
namespace {

constexpr size_t kTickBuckets = 4096;  // a fraction of a millisecond
constexpr size_t kFullBuckets = 64;    // looked through when a newcomer finds the table full

uint64_t mix(uint64_t value) noexcept {
  value = (value ^ value >> 32) * 0xd6e8feb86659fd93ull;
  return value ^ value >> 29;
}

}  // namespace

size_t RateLimiter::Hash::operator()(const inet::IpAddress& ip) const noexcept {
  auto bytes = ip.bytes();  // 4 or 16
  uint64_t hash = mix(seed ^ static_cast<uint64_t>(ip.family()));
  for (size_t i = 0; i < bytes.size(); i += 4) hash = mix(hash + seed + load_be32(&bytes[i]));
  return static_cast<size_t>(hash);
}

RateLimiter::RateLimiter(const RateLimits& limits, uint64_t hash_seed) : sources_(0, Hash{hash_seed}) { set(limits); }

void RateLimiter::set(const RateLimits& limits) {
  limits_ = limits;
  token_ = limits.new_per_minute != 0 ? Duration(std::chrono::minutes(1)) / limits.new_per_minute : Duration::zero();
  capacity_ = token_ * (limits.burst != 0 ? limits.burst : limits.new_per_minute);
}

Reason RateLimiter::open(const inet::IpAddress& real, Time now) {
  inet::IpAddress key = inet::limit_key(real);
  auto found = sources_.find(key);
  if (found == sources_.end()) {
    if (sources_.size() >= limits_.max_sources) sweep(now, kFullBuckets);
    if (sources_.size() >= limits_.max_sources) return Reason::rate_limited;
    found = sources_.emplace(key, Source()).first;
  }
  Source& source = found->second;
  if (limits_.connections_per_source != 0 && source.open >= limits_.connections_per_source)
    return Reason::too_many_connections;
  if (limits_.new_per_minute != 0) {
    Time full_at = std::max(source.full_at, now) + token_;
    if (full_at > now + capacity_) return Reason::rate_limited;
    source.full_at = full_at;
  }
  ++source.open;
  return Reason::none;
}

void RateLimiter::closed(const inet::IpAddress& real, Time now) {
  auto found = sources_.find(inet::limit_key(real));
  if (found == sources_.end() || found->second.open == 0) return;
  --found->second.open;
  if (forgettable(found->second, now)) sources_.erase(found);
}

void RateLimiter::tick(Time now) { sweep(now, kTickBuckets); }

void RateLimiter::sweep(Time now, size_t buckets) {
  for (buckets = std::min(buckets, sources_.bucket_count()); buckets > 0 && !sources_.empty(); --buckets) {
    cursor_ = (cursor_ + 1) % sources_.bucket_count();
    for (auto it = sources_.begin(cursor_); it != sources_.end(cursor_);) {
      auto here = it++;
      if (forgettable(here->second, now)) sources_.erase(inet::IpAddress(here->first));
    }
  }
}

uint32_t RateLimiter::open_count(const inet::IpAddress& real) const noexcept {
  auto found = sources_.find(inet::limit_key(real));
  return found == sources_.end() ? 0 : found->second.open;
}

}  // namespace smartvpn::acl
