// IPv4 addresses inside IPv6 ones (RFC 6052, 3056, 4380); declared in inner_packet.hpp.
#include "inet/inner_packet.hpp"

namespace smartvpn::inet {
namespace {

constexpr uint8_t kWellKnownNat64[12] = {0x00, 0x64, 0xff, 0x9b};

// RFC 6052, 2.2: the address follows the prefix and skips byte 8.
IpAddress after_prefix(ByteView bytes, uint8_t prefix) noexcept {
  uint8_t v4[4];
  size_t at = prefix / 8u;
  for (uint8_t& byte : v4) {
    if (at == 8) ++at;
    byte = bytes[at++];
  }
  return IpAddress::v4(v4);
}

bool is_nat64_length(uint8_t prefix) noexcept {
  return prefix == 32 || prefix == 40 || prefix == 48 || prefix == 56 || prefix == 64 || prefix == 96;
}

}  // namespace

size_t embedded_ipv4(const IpAddress& ip, std::span<const Cidr> nat64, std::array<IpAddress, 2>& out) noexcept {
  if (!ip.is_v6()) return 0;
  const ByteView bytes = ip.bytes();
  if (std::equal(std::begin(kWellKnownNat64), std::end(kWellKnownNat64), bytes.begin())) {
    out[0] = after_prefix(bytes, 96);
    return 1;
  }
  for (const Cidr& prefix : nat64) {
    if (!is_nat64_length(prefix.prefix) || !prefix.contains(ip)) continue;
    out[0] = after_prefix(bytes, prefix.prefix);
    return 1;
  }
  if (bytes[0] == 0x20 && bytes[1] == 0x02) {
    out[0] = IpAddress::v4(load_be32(bytes.data() + 2));
    return 1;
  }
  if (load_be32(bytes.data()) == 0x20010000) {
    out[0] = IpAddress::v4(~load_be32(bytes.data() + 12));
    out[1] = IpAddress::v4(load_be32(bytes.data() + 4));
    return 2;
  }
  return 0;
}

}  // namespace smartvpn::inet
