// See destination_policy.hpp (design: behaviour.md, "Inner packets").
#include "acl/destination_policy.hpp"

namespace smartvpn::acl {

Result<DestinationPolicy> DestinationPolicy::compile(std::span<const std::string> block, std::string_view block_path,
                                                     std::span<const std::string> allow, std::string_view allow_path) {
  DestinationPolicy policy;
  auto blocked = AddressSet::compile(block, block_path);
  if (!blocked) return blocked.error();
  auto allowed = AddressSet::compile(allow, allow_path);
  if (!allowed) return allowed.error();
  policy.block_ = std::move(*blocked);
  policy.allow_ = std::move(*allowed);
  return policy;
}

bool DestinationPolicy::blocks(const inet::IpAddress& ip, std::span<const inet::Cidr> nat64) const noexcept {
  if (block_.empty()) return false;
  if (block_.contains(ip)) return true;
  std::array<inet::IpAddress, 2> inside;
  const size_t count = inet::embedded_ipv4(ip, nat64, inside);
  for (size_t i = 0; i < count; ++i)
    if (block_.contains(inside[i])) return true;
  return false;
}

bool DestinationPolicy::admits(const inet::IpAddress& ip, std::span<const inet::Cidr> nat64) const noexcept {
  if (allow_.empty() || allow_.contains(ip)) return true;
  std::array<inet::IpAddress, 2> inside;
  const size_t count = inet::embedded_ipv4(ip, nat64, inside);
  for (size_t i = 0; i < count; ++i)
    if (!allow_.contains(inside[i])) return false;
  return count > 0;
}

bool DestinationPolicy::allows(const inet::IpAddress& ip, std::span<const inet::Cidr> nat64) const noexcept {
  return !blocks(ip, nat64) && admits(ip, nat64);
}

bool DestinationPolicy::allows_from(const inet::InnerPacket& packet, std::span<const inet::Cidr> nat64) const noexcept {
  if (blocks(packet.src, nat64)) return false;
  return admits(packet.src, nat64) || (packet.has_quote && allows(packet.quoted.dst, nat64));
}

}  // namespace smartvpn::acl
