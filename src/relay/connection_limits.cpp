// See connection_limits.hpp.
#include "relay/connection_limits.hpp"

namespace smartvpn::relay {
namespace {

// More than `limits.connections` can be, so that nobody who may come is refused because of all the others' addresses.
// A source takes some 64 bytes while it has something open or owes the bucket.
constexpr uint32_t kMaxLimitedSources = 1 << 20;

acl::RateLimits address_limits(const config::RelayLimitsConfig& limits) {
  acl::RateLimits out;
  out.connections_per_source = limits.connections_per_ip;
  out.new_per_minute = limits.new_connections_per_ip_per_minute;
  out.max_sources = kMaxLimitedSources;
  return out;
}

}  // namespace

ConnectionLimits::ConnectionLimits(const config::RelayLimitsConfig& limits, uint64_t hash_seed)
    : most_(limits.connections), addresses_(address_limits(limits), hash_seed) {}

void ConnectionLimits::set(const config::RelayLimitsConfig& limits) {
  MutexLock lock(mutex_);
  most_ = limits.connections;
  addresses_.set_limits(address_limits(limits));
}

bool ConnectionLimits::enter() {
  MutexLock lock(mutex_);
  if (most_ != 0 && open_ >= most_) return false;
  ++open_;
  return true;
}

void ConnectionLimits::leave() noexcept {
  MutexLock lock(mutex_);
  --open_;
}

Reason ConnectionLimits::enter_address(const inet::IpAddress& real, Time now) {
  MutexLock lock(mutex_);
  return addresses_.open(real, now);
}

void ConnectionLimits::leave_address(const inet::IpAddress& real, Time now) noexcept {
  MutexLock lock(mutex_);
  addresses_.closed(real, now);
}

bool ConnectionLimits::enter_route(const std::string& route, uint32_t most) {
  MutexLock lock(mutex_);
  uint64_t& open = routes_[route];
  if (most != 0 && open >= most) return false;  // not 0, so the entry is in use
  ++open;
  return true;
}

void ConnectionLimits::leave_route(const std::string& route) noexcept {
  MutexLock lock(mutex_);
  const auto found = routes_.find(route);
  if (found != routes_.end() && --found->second == 0) routes_.erase(found);
}

uint64_t ConnectionLimits::open() const {
  MutexLock lock(mutex_);
  return open_;
}

void ConnectionLimits::tick(Time now) {
  MutexLock lock(mutex_);
  addresses_.tick(now);
}

}  // namespace smartvpn::relay
