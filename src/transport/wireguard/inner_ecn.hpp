// Explicit congestion notification through the tunnel (RFC 6040, normal mode): the inner packet's bits go on the outer
// one, and a mark that the outer one got on its way is put on the inner one.
#pragma once

#include "inet/checksum.hpp"

namespace smartvpn::wireguard {

constexpr uint8_t kNotCapable = 0, kCapable1 = 1, kCapable0 = 2, kCongested = 3;

// Of an IP packet.
inline uint8_t ecn_of(ByteView packet) noexcept {
  if (packet.size() < 2) return kNotCapable;
  return packet[0] >> 4 == 4 ? packet[1] & 3 : packet[1] >> 4 & 3;
}

inline void set_ecn(ByteSpan packet, uint8_t value) noexcept {
  uint8_t* p = packet.data();
  if (p[0] >> 4 == 6) {
    p[1] = static_cast<uint8_t>((p[1] & ~0x30) | value << 4);
    return;
  }
  const uint16_t before = load_be16(p);
  p[1] = static_cast<uint8_t>((p[1] & ~3) | value);
  store_be16(p + 10, inet::update_checksum(load_be16(p + 10), before, load_be16(p)));
}

// Does to the inner packet, which has a whole header, what the way has done to the outer one (RFC 6040, figure 4).
// False: it was marked, but its flow knows of no marks, and it has to be dropped in place of that.
inline bool take_over_ecn(ByteSpan packet, uint8_t outer) noexcept {
  const uint8_t inner = ecn_of(packet);
  if (outer == kCongested && inner == kNotCapable) return false;
  const bool stronger = outer == kCongested || (outer == kCapable1 && inner == kCapable0);
  if (stronger && inner != outer) set_ecn(packet, outer);
  return true;
}

}  // namespace smartvpn::wireguard
