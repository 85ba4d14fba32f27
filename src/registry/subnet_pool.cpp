// One subnet's addresses. A free address is in exactly one of three places: not yet walked to (at or
// above `next_`), in `available_`, or in the memory of the client that had it last. Running out of memory
// may cost a memory of the past, never an address: whatever can throw does so before anything changes.
#include "registry/subnet_pool.hpp"

#include <algorithm>
#include <new>

namespace smartvpn::registry {
namespace {

using inet::IpAddress;

const char* why_unusable(const inet::Cidr& subnet) {
  const IpAddress& base = subnet.base;
  if (!base) return "not a subnet";
  if (base.masked(subnet.prefix) != base) return "bits are set behind the prefix";
  if (base.is_v4() && (subnet.prefix < 8 || subnet.prefix > 30)) return "an IPv4 pool is a /8 to a /30";
  if (base.is_v6() && (subnet.prefix < 16 || subnet.prefix > 126)) return "an IPv6 pool is a /16 to a /126";
  if (base.is_unspecified() || base.is_multicast() || base.is_link_local() ||
      (base.is_v4() && base.v4_host_order() >> 24 == 127))
    return "not a range that hosts can have";
  return nullptr;
}

}  // namespace

Result<SubnetPool> SubnetPool::create(const inet::Cidr& subnet, size_t remembered, const std::string& path) {
  if (const char* why = why_unusable(subnet)) return make_error(Status::INVALID, subnet.text() + ": " + why, path);
  return SubnetPool(subnet, remembered);
}

SubnetPool::SubnetPool(const inet::Cidr& subnet, size_t remembered)
    : subnet_(subnet),
      gateway_(subnet.base.plus(1)),
      last_(subnet.last()),
      next_(subnet.base.plus(2)),
      remembered_limit_(remembered) {
  if (subnet.base.is_v4()) last_ = IpAddress::v4(last_.v4_host_order() - 1);
}

bool SubnetPool::assignable(const IpAddress& ip) const noexcept {
  return ip.family() == subnet_.base.family() && ip > gateway_ && ip <= last_;
}

bool SubnetPool::reserve(const IpAddress& ip) {
  if (!assignable(ip) || !reserved_.insert(ip).second) return false;
  available_.erase(ip);
  drop_memory_of(ip);
  return true;
}

std::optional<IpAddress> SubnetPool::reserve_any() {
  const auto ip = find_any();
  if (ip) reserve(*ip);
  return ip;
}

void SubnetPool::unreserve(const IpAddress& ip) {
  if (!reserved(ip)) return;
  if (!in_use(ip)) make_available(ip);
  reserved_.erase(ip);
}

bool SubnetPool::take(const IpAddress& ip, bool as_fixed) {
  if (!assignable(ip) || in_use(ip) || (reserved(ip) && !as_fixed)) return false;
  occupy(ip);
  return true;
}

std::optional<IpAddress> SubnetPool::take_remembered(const std::string& client) {
  auto it = past_by_client_.find(client);
  if (it == past_by_client_.end()) return std::nullopt;
  const IpAddress ip = it->second.back();
  occupy(ip);
  return ip;
}

std::optional<IpAddress> SubnetPool::take_any() {
  const auto ip = find_any();
  if (ip) occupy(*ip);
  return ip;
}

std::optional<IpAddress> SubnetPool::find_any() {
  if (!available_.empty()) return *available_.begin();
  if (auto ip = walk()) return ip;
  if (!past_.empty()) return past_.front().ip;
  return std::nullopt;
}

void SubnetPool::give_back(const IpAddress& ip, const std::string& client) noexcept {
  auto node = in_use_.extract(ip);
  if (!node || reserved(ip)) return;
  try {
    if (!client.empty() && remembered_limit_ != 0) return remember(ip, client);
  } catch (const std::bad_alloc&) {
    // Then it is anybody's.
  }
  if (walked_all_ || ip < next_) available_.insert(std::move(node));
}

void SubnetPool::forget(const std::string& client) {
  auto it = past_by_client_.find(client);
  if (it == past_by_client_.end()) return;
  for (const IpAddress& ip : std::vector<IpAddress>(it->second)) {
    make_available(ip);
    drop_memory_of(ip);
  }
}

void SubnetPool::remember(const IpAddress& ip, const std::string& client) {
  if (past_.size() >= remembered_limit_) {
    const IpAddress oldest = past_.front().ip;
    make_available(oldest);
    drop_memory_of(oldest);
  }
  PastList fresh;
  fresh.push_back({ip, client});
  auto& mine = past_by_client_[client];
  try {
    mine.push_back(ip);
    past_by_address_[ip] = fresh.begin();
  } catch (...) {
    std::erase(mine, ip);
    if (mine.empty()) past_by_client_.erase(client);
    throw;
  }
  past_.splice(past_.end(), fresh);
}

void SubnetPool::drop_memory_of(const IpAddress& ip) {
  auto it = past_by_address_.find(ip);
  if (it == past_by_address_.end()) return;
  auto of_client = past_by_client_.find(it->second->client);
  std::erase(of_client->second, ip);
  if (of_client->second.empty()) past_by_client_.erase(of_client);
  past_.erase(it->second);
  past_by_address_.erase(it);
}

void SubnetPool::make_available(const IpAddress& ip) {
  if (walked_all_ || ip < next_) available_.insert(ip);
}

void SubnetPool::occupy(const IpAddress& ip) {
  in_use_.insert(ip);
  available_.erase(ip);
  drop_memory_of(ip);
}

// Every step moves next_ for good, so that the cost is shared by all who ever ask.
std::optional<IpAddress> SubnetPool::walk() {
  while (!walked_all_) {
    if (!in_use(next_) && !reserved(next_) && !past_by_address_.count(next_)) return next_;
    if (next_ == last_)
      walked_all_ = true;
    else
      next_ = next_.plus(1);
  }
  return std::nullopt;
}

}  // namespace smartvpn::registry
