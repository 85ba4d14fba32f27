// Explicit congestion notification between the outer and the inner header (RFC 6040, normal mode). Pure.
#pragma once

#include "inet/checksum.hpp"
#include "inet/ip_header.hpp"

namespace smartvpn::wireguard {

namespace ecn {
constexpr uint8_t kNot = 0, kEct1 = 1, kEct0 = 2, kCongested = 3;
}  // namespace ecn

// Of an inner packet with a whole IP header; what its datagram carries too.
inline uint8_t inner_ecn(ByteView packet) noexcept {
  if (packet.size() < 2) return ecn::kNot;
  const uint8_t bits = inet::ip_version(packet) == 4 ? packet[1] : packet[1] >> 4;
  return bits & 3;
}

inline void set_inner_ecn(ByteSpan packet, uint8_t value) noexcept {
  uint8_t* p = packet.data();
  if (inet::ip_version(packet) == 6) {
    p[1] = static_cast<uint8_t>((p[1] & ~0x30) | value << 4);
    return;
  }
  const uint16_t before = load_be16(p);
  p[1] = static_cast<uint8_t>((p[1] & ~3) | value);
  store_be16(p + 10, inet::update_checksum(load_be16(p + 10), before, load_be16(p)));
}

// What the way has done to the datagram is done to the inner packet. False: the way marked what does not know of
// marks, and the packet has to be dropped.
inline bool take_over_ecn(ByteSpan packet, uint8_t outer) noexcept {
  const uint8_t inner = inner_ecn(packet);
  if (outer == ecn::kCongested && inner == ecn::kNot) return false;
  const bool stronger = outer == ecn::kCongested || (outer == ecn::kEct1 && inner == ecn::kEct0);
  if (stronger && inner != ecn::kCongested && inner != outer) set_inner_ecn(packet, outer);
  return true;
}

}  // namespace smartvpn::wireguard
