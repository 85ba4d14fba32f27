// Which prefixes belong to whom, for the rule that what is routed to one client is not routed to another
// (behaviour.md "Clients, sessions, addresses"): fixed addresses as host prefixes, and subnets behind
// clients. Owners are the caller's names.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "inet/address.hpp"

namespace smartvpn::inet {

class PrefixClaims {
 public:
  // `pool`: the networks that addresses are leased from.
  explicit PrefixClaims(std::vector<Cidr> pool = {}) : pool_(std::move(pool)) {}

  // Why `owner` may not have this subnet as well: INVALID for a default route, for what overlaps the pool
  // and for ranges with a meaning of their own; EXISTS for what another owner has, and for another's part
  // or whole. `allow_overlap` permits default routes and overlaps, but neither doubles nor single addresses
  // of the pool. Paths are empty.
  Result<void> check_subnet(const Cidr& subnet, const std::string& owner, bool allow_overlap) const;
  // EXISTS for an address that is another owner's, or another's subnet of one address.
  Result<void> check_address(const IpAddress& address, const std::string& owner) const;

  void add(const Cidr& prefix, const std::string& owner) { owner_[prefix] = owner; }
  // If it is this owner's.
  void remove(const Cidr& prefix, const std::string& owner);
  size_t size() const noexcept { return owner_.size(); }

 private:
  // Another owner of a prefix that overlaps this one; null if there is none.
  const std::string* overlapping(const Cidr& subnet, const std::string& owner) const;

  std::vector<Cidr> pool_;
  std::map<Cidr, std::string> owner_;
};

// The prefix of one address.
inline Cidr host_prefix(const IpAddress& ip) noexcept { return {ip, static_cast<uint8_t>(ip.bits())}; }

inline bool any_contains(const std::vector<Cidr>& prefixes, const IpAddress& ip) noexcept {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const Cidr& prefix) { return prefix.contains(ip); });
}

// A default route, or one of the halves that stand for one: by such a prefix somebody would be everywhere.
constexpr bool is_everywhere(uint8_t prefix_length) noexcept { return prefix_length <= 1; }

// `fn(prefix, value)` for what in the map overlaps `prefix`, its equal included: the wider ones first, the widest of
// them first. Stops where it gives false. One look-up a bit of the prefix, and no walk over what does not overlap.
template <class T, class Fn>
void for_overlapping(const std::map<Cidr, T>& map, const Cidr& prefix, Fn&& fn) {
  for (int length = 0; length < prefix.prefix; ++length) {
    auto at = map.find({prefix.base.masked(length), static_cast<uint8_t>(length)});
    if (at != map.end() && !fn(at->first, at->second)) return;
  }
  const IpAddress last = prefix.last();
  for (auto at = map.lower_bound(prefix); at != map.end() && at->first.base <= last; ++at)
    if (!fn(at->first, at->second)) return;
}

}  // namespace smartvpn::inet
