// Explicit congestion notification through the tunnel (RFC 6040, normal mode): the inner packet's bits go on the outer
// one, and a mark that the outer one got on its way is put on the inner one.
#pragma once

#include "inet/checksum.hpp"

namespace smartvpn::wireguard {

constexpr uint8_t kNotCapable = 0, kCongested = 3;

// Of an IP packet of at least a whole header.
inline uint8_t ecn_of(ByteView packet) noexcept {
  return packet[0] >> 4 == 4 ? packet[1] & 3 : packet[1] >> 4 & 3;
}

// Puts CE on the packet; false if its flow does not know ECN, and it has to be dropped in place of that.
inline bool mark_congestion(ByteSpan packet) noexcept {
  if (ecn_of(packet) == kNotCapable) return false;
  if (packet[0] >> 4 == 6) {
    packet[1] |= kCongested << 4;
    return true;
  }
  const uint16_t before = load_be16(packet.data());
  packet[1] |= kCongested;
  store_be16(packet.data() + 10,
             inet::update_checksum(load_be16(packet.data() + 10), before, load_be16(packet.data())));
  return true;
}

}  // namespace smartvpn::wireguard
