// What a client may reach: its destination block list, then its allow list. The same lists judge a
// packet towards the client by its source, so that what it may not reach cannot reach it either.
// Immutable once compiled; judged once per packet or super-packet, without allocation.
#pragma once

#include "acl/address_set.hpp"
#include "inet/inner_packet.hpp"

namespace smartvpn::acl {

class DestinationPolicy {
 public:
  DestinationPolicy() = default;  // everywhere

  static Result<DestinationPolicy> compile(std::span<const std::string> block, std::string_view block_path,
                                           std::span<const std::string> allow, std::string_view allow_path);

  // The block list wins; an allow list without entries allows everything. An IPv6 address with an IPv4
  // one inside (NAT64 including the prefixes of `nat64`, 6to4, Teredo) is blocked if either is, and
  // allowed if it is itself or all that is inside is.
  bool allows(const inet::IpAddress& ip, std::span<const inet::Cidr> nat64) const noexcept;

  // A packet from elsewhere to the client. An ICMP error comes from any router on the way, so it is also
  // allowed for the destination that it quotes; one whose sender is blocked is not.
  bool allows_from(const inet::InnerPacket& packet, std::span<const inet::Cidr> nat64) const noexcept;

  bool unrestricted() const noexcept { return block_.empty() && allow_.empty(); }

 private:
  bool blocks(const inet::IpAddress& ip, std::span<const inet::Cidr> nat64) const noexcept;
  bool admits(const inet::IpAddress& ip, std::span<const inet::Cidr> nat64) const noexcept;

  AddressSet block_, allow_;
};

}  // namespace smartvpn::acl
