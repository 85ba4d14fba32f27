// Cuts an IPv4 packet with DF clear that is larger than its session's MTU into fragments (RFC 791;
// RFC 815 terms). The last resort of the MTU rule in behaviour.md: DF packets get ICMP instead.
#pragma once

#include "base/packet.hpp"
#include "base/reason.hpp"

namespace smartvpn::inet {

struct FragmentPlan {
  uint16_t first_header = 0;                // bytes of the IPv4 header in the first fragment
  uint16_t later_header = 0;                // and in the others, which carry only the options marked "copied"
  uint16_t first_data = 0, later_data = 0;  // data bytes of all fragments but the last; multiples of 8
  uint16_t fragments = 0;
  uint32_t data_length = 0;
};

// Whether and how `packet` (valid IPv4, as classify() passes it) is cut to `mtu` bytes a piece.
// too_big: DF set, IPv6, or an mtu that leaves no room for 8 bytes of data. none with fragments == 1:
// it fits as it is. A packet that is a fragment already is cut further.
[[nodiscard]] Drop plan_fragments(ByteView packet, uint16_t mtu, FragmentPlan& out) noexcept;

size_t fragment_length(const FragmentPlan& plan, uint16_t index) noexcept;
// `out` has room for fragment_length() bytes and does not overlap the packet.
size_t write_fragment(ByteView packet, const FragmentPlan& plan, uint16_t index, uint8_t* out) noexcept;

// As segment() in super_packet.hpp. The packet's transport checksum must be complete.
template <class Fn>
size_t fragment(ByteView packet, const FragmentPlan& plan, PacketPool& pool, Fn&& fn) {
  for (uint16_t i = 0; i < plan.fragments; ++i) {
    Packet piece = pool.take(fragment_length(plan, i));
    if (!piece) return i;
    write_fragment(packet, plan, i, piece.bytes().data());
    fn(std::move(piece));
  }
  return plan.fragments;
}

}  // namespace smartvpn::inet
