// The 10-byte header in front of every packet on a tun device with IFF_VNET_HDR. Kernel and user space speak it
// in host byte order. Its fields are derived here from our own parse of the packet, never taken from a peer.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"
#include "inet/super_packet.hpp"

namespace smartvpn::forward {

struct VirtioHeader {
  static constexpr size_t kSize = 10;
  static constexpr uint8_t kNeedsChecksum = 1;
  static constexpr uint8_t kGsoNone = 0, kGsoTcp4 = 1, kGsoTcp6 = 4, kGsoUdp = 5, kGsoEcn = 0x80;

  uint8_t flags = 0;
  uint8_t gso_type = kGsoNone;
  uint16_t header_length = 0;
  uint16_t gso_size = 0;
  uint16_t csum_start = 0;
  uint16_t csum_offset = 0;

  void store(uint8_t* out) const noexcept { std::memcpy(out, this, kSize); }
  static VirtioHeader load(const uint8_t* in) noexcept {
    VirtioHeader out;
    std::memcpy(&out, in, kSize);
    return out;
  }
  bool is_gso() const noexcept { return gso_type != kGsoNone; }

  static VirtioHeader of(const inet::SuperInfo& info) noexcept {
    VirtioHeader out;
    out.flags = kNeedsChecksum;
    out.gso_type = info.tcp ? (info.v6 ? kGsoTcp6 : kGsoTcp4) : kGsoUdp;
    if (info.ecn) out.gso_type |= kGsoEcn;
    out.header_length = info.header_length;
    out.gso_size = info.segment_size;
    out.csum_start = info.csum_start;
    out.csum_offset = info.csum_offset;
    return out;
  }
};
static_assert(sizeof(VirtioHeader) == VirtioHeader::kSize);

}  // namespace smartvpn::forward
