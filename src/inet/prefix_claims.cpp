// See prefix_claims.hpp.
#include "inet/prefix_claims.hpp"

namespace smartvpn::inet {
namespace {

bool has_own_meaning(const Cidr& subnet) {
  static constexpr const char* kReserved[] = {"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3",
                                              "::/128",    "::1/128",     "fe80::/10",      "ff00::/8"};
  return std::any_of(std::begin(kReserved), std::end(kReserved), [&](const char* text) {
    const Cidr reserved = *Cidr::parse(text);
    return subnet.prefix >= reserved.prefix && reserved.contains(subnet.base);
  });
}

}  // namespace

Result<void> PrefixClaims::check_subnet(const Cidr& subnet, const std::string& owner, bool allow_overlap) const {
  auto invalid = [&](const char* why) { return make_error(Status::INVALID, subnet.text() + " " + why); };
  if (!subnet.base || subnet.base.masked(subnet.prefix) != subnet.base) return invalid("has host bits set");
  if (auto at = owner_.find(subnet); at != owner_.end() && at->second != owner)
    return make_error(Status::EXISTS, subnet.text() + " belongs to client '" + at->second + "'");
  if (subnet.prefix == 0 && !allow_overlap) return invalid("is a default route, which needs allow_overlap");
  if (subnet.prefix != 0 && has_own_meaning(subnet)) return invalid("is in a range with a meaning of its own");
  for (const Cidr& pool : pool_) {
    if (!pool.overlaps(subnet)) continue;
    if (subnet.prefix == subnet.base.bits()) return invalid("is an address of network.subnets: see addresses");
    if (subnet == pool) return invalid("is one of network.subnets");
    if (!allow_overlap) return invalid("overlaps network.subnets, which needs allow_overlap");
  }
  if (allow_overlap) return {};
  if (const std::string* other = overlapping(subnet, owner))
    return make_error(Status::EXISTS, subnet.text() + " overlaps what client '" + *other + "' has");
  return {};
}

Result<void> PrefixClaims::check_address(const IpAddress& address, const std::string& owner) const {
  auto at = owner_.find(host_prefix(address));
  if (at == owner_.end() || at->second == owner) return {};
  return make_error(Status::EXISTS, address.text() + " belongs to client '" + at->second + "'");
}

void PrefixClaims::remove(const Cidr& prefix, const std::string& owner) {
  auto at = owner_.find(prefix);
  if (at != owner_.end() && at->second == owner) owner_.erase(at);
}

const std::string* PrefixClaims::overlapping(const Cidr& subnet, const std::string& owner) const {
  const std::string* found = nullptr;
  for_overlapping(owner_, subnet, [&](const Cidr&, const std::string& other) {
    if (other != owner) found = &other;
    return !found;
  });
  return found;
}

}  // namespace smartvpn::inet
