// TCP and UDP super-packets (up to 64 KiB that stand for a run of equal segments, protocol.md
// "Super-packets"): validation, the virtio-net fields derived from the headers and never taken from a
// peer, and cutting into ordinary packets. Sits between the session or the device and the router.
//
// Form of a super-packet everywhere inside the server and on the wire: IP total length and UDP length
// cover the whole; the TCP/UDP checksum field holds the folded, not inverted pseudo-header sum
// ("partial", as the kernel's NEEDS_CSUM has it); the IPv4 header checksum is right.
#pragma once

#include "base/packet.hpp"
#include "base/reason.hpp"

namespace smartvpn::inet {

struct SuperInfo {
  bool tcp = false;  // otherwise UDP
  bool v6 = false;
  bool ecn = false;            // TCP with CWR set: VIRTIO_NET_HDR_GSO_ECN
  uint16_t header_length = 0;  // IP + TCP/UDP header
  uint16_t segment_size = 0;   // payload bytes of every segment but the last
  uint16_t csum_start = 0;     // offset of the TCP/UDP header
  uint16_t csum_offset = 0;    // 16 (TCP) or 6 (UDP)
  uint16_t segments = 0;       // at least 1
  uint32_t payload_length = 0;
};

constexpr size_t kMaxSegments = 128;
constexpr uint16_t kMinSegmentV4 = 536, kMinSegmentV6 = 1220;

// Reads the shape of a super-packet of ours (from the device or a coalescer): IPv4 without options or
// IPv6 without extension headers, TCP or UDP, not a fragment, lengths that agree, segment_size > 0,
// at least one payload byte. One segment is fine here. bad_super_packet otherwise.
[[nodiscard]] Drop parse_super(ByteView packet, uint16_t segment_size, SuperInfo& out) noexcept;

// All a receiver demands of a peer's super-packet beyond classify(), and so what a sender checks
// before it sends one whole. parse_super() and: 2 to kMaxSegments segments; segment size (for TCP:
// with the TCP options, as an MSS counts) at least kMinSegmentV4/V6; header + segment size <=
// session_mtu; no SYN, RST or URG; IPv4 header checksum right; the checksum field holds the partial
// sum. bad_super_packet otherwise.
[[nodiscard]] Drop inspect(ByteView packet, uint16_t segment_size, uint16_t session_mtu, SuperInfo& out) noexcept;

// Stores the partial checksum and (IPv4) the header checksum, which makes the form above out of any
// packet parse_super() took. Touches the headers only: `packet` may end behind info.header_length.
void prepare_partial(ByteSpan packet, const SuperInfo& info) noexcept;

// Completes the checksum of a packet from the kernel with VIRTIO_NET_HDR_F_NEEDS_CSUM. False, and
// nothing written, when the fields do not fit the packet.
[[nodiscard]] bool finish_checksum(ByteSpan packet, uint16_t csum_start, uint16_t csum_offset) noexcept;

// Cutting. Segment `index` (below info.segments) as an ordinary packet with right lengths, IPv4
// identification, sequence number, flags (FIN and PSH on the last only, CWR on the first only) and
// checksums. `out` has room for segment_length() bytes and does not overlap `super`.
size_t segment_length(const SuperInfo& info, uint16_t index) noexcept;
size_t write_segment(ByteView super, const SuperInfo& info, uint16_t index, uint8_t* out) noexcept;

// Cuts into packets of `pool`; `fn(Packet&&)` gets each in order. Gives how many were delivered; fewer
// than info.segments means memory is out.
template <class Fn>
size_t segment(ByteView super, const SuperInfo& info, PacketPool& pool, Fn&& fn) {
  for (uint16_t i = 0; i < info.segments; ++i) {
    Packet packet = pool.take(segment_length(info, i));
    if (!packet) return i;
    write_segment(super, info, i, packet.bytes().data());
    fn(std::move(packet));
  }
  return info.segments;
}

}  // namespace smartvpn::inet
