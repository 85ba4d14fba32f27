#include "inet/super_packet.hpp"

#include "inet/checksum.hpp"
#include "inet/ip_header.hpp"

namespace smartvpn::inet {
namespace {

struct IpShape {
  bool v6 = false;
  uint8_t protocol = 0;
  uint16_t header = 0;
};

// A plain IP header whose length covers exactly these bytes.
bool read_ip(ByteView packet, IpShape& out) noexcept {
  const uint8_t* p = packet.data();
  out.v6 = ip_version(packet) == 6;
  if (out.v6) {
    out.header = kIpv6HeaderSize;
    if (packet.size() < kIpv6HeaderSize || kIpv6HeaderSize + load_be16(p + 4) != packet.size()) return false;
    out.protocol = p[6];
    return true;
  }
  out.header = kIpv4HeaderSize;
  if (packet.size() < kIpv4HeaderSize || p[0] != 0x45 || load_be16(p + 2) != packet.size()) return false;
  out.protocol = p[9];
  return (load_be16(p + 6) & (kIpv4MoreFragments | kIpv4OffsetMask)) == 0;
}

// Bytes of the TCP or UDP header at `transport`, 0 if it is neither or does not add up.
size_t transport_header(ByteView rest, uint8_t protocol) noexcept {
  if (protocol == ip_protocol::kUdp) {
    return rest.size() >= kUdpHeaderSize && load_be16(rest.data() + 4) == rest.size() ? kUdpHeaderSize : 0;
  }
  if (protocol != ip_protocol::kTcp || rest.size() < kTcpHeaderSize) return 0;
  const size_t header = (rest[12] >> 4) * 4u;
  return header >= kTcpHeaderSize ? header : 0;
}

uint8_t protocol_of(const SuperInfo& info) noexcept { return info.tcp ? ip_protocol::kTcp : ip_protocol::kUdp; }

uint16_t partial_checksum(const uint8_t* packet, const SuperInfo& info) noexcept {
  const uint32_t length = info.header_length - info.csum_start + info.payload_length;
  return fold_sum(pseudo_header_sum(packet, protocol_of(info), length));
}

bool is_bulk_tcp(const uint8_t* tcp) noexcept {
  return (tcp[13] & (tcp_flag::kSyn | tcp_flag::kRst | tcp_flag::kUrg)) == 0;
}

}  // namespace

Drop parse_super(ByteView packet, uint16_t segment_size, SuperInfo& out) noexcept {
  IpShape ip;
  if (segment_size == 0 || packet.empty() || !read_ip(packet, ip)) return Drop::bad_super_packet;
  const size_t transport = transport_header(packet.subspan(ip.header), ip.protocol);
  if (transport == 0 || ip.header + transport >= packet.size()) return Drop::bad_super_packet;
  out.tcp = ip.protocol == ip_protocol::kTcp;
  out.v6 = ip.v6;
  out.header_length = static_cast<uint16_t>(ip.header + transport);
  out.segment_size = segment_size;
  out.csum_start = ip.header;
  out.csum_offset = out.tcp ? 16 : 6;
  out.ecn = out.tcp && (packet[ip.header + 13u] & tcp_flag::kCwr) != 0;
  out.payload_length = static_cast<uint32_t>(packet.size() - out.header_length);
  out.segments = static_cast<uint16_t>((out.payload_length + segment_size - 1) / segment_size);
  return Drop::none;
}

Drop inspect(ByteView packet, uint16_t segment_size, uint16_t session_mtu, SuperInfo& out) noexcept {
  if (parse_super(packet, segment_size, out) != Drop::none) return Drop::bad_super_packet;
  const uint8_t* p = packet.data();
  const uint32_t tcp_options = out.tcp ? out.header_length - out.csum_start - static_cast<uint32_t>(kTcpHeaderSize) : 0;
  const bool sizes_fit = out.segments >= 2 && out.segments <= kMaxSegments &&
                         segment_size + tcp_options >= (out.v6 ? kMinSegmentV6 : kMinSegmentV4) &&
                         uint32_t{out.header_length} + segment_size <= session_mtu;
  if (!sizes_fit || (out.tcp && !is_bulk_tcp(p + out.csum_start))) return Drop::bad_super_packet;
  if (!out.v6 && checksum_of(packet.first(kIpv4HeaderSize)) != 0) return Drop::bad_super_packet;
  const uint16_t stored = load_be16(p + out.csum_start + out.csum_offset);
  return stored == partial_checksum(p, out) ? Drop::none : Drop::bad_super_packet;
}

void prepare_partial(ByteSpan packet, const SuperInfo& info) noexcept {
  uint8_t* p = packet.data();
  if (!info.v6) refresh_ipv4_checksum(p, kIpv4HeaderSize);
  store_be16(p + info.csum_start + info.csum_offset, partial_checksum(p, info));
}

bool finish_checksum(ByteSpan packet, uint16_t csum_start, uint16_t csum_offset) noexcept {
  if (csum_start < kIpv4HeaderSize || csum_offset % 2 != 0) return false;
  if (packet.size() < size_t{csum_start} + csum_offset + 2) return false;
  uint16_t checksum = checksum_of(packet.subspan(csum_start));  // the field holds the pseudo-header's part
  if (checksum == 0 && csum_offset == 6) checksum = 0xffff;     // UDP: 0 would mean "none"
  store_be16(packet.data() + csum_start + csum_offset, checksum);
  return true;
}

size_t segment_length(const SuperInfo& info, uint16_t index) noexcept {
  const uint32_t offset = uint32_t{index} * info.segment_size;
  return info.header_length + std::min<uint32_t>(info.segment_size, info.payload_length - offset);
}

size_t write_segment(ByteView super, const SuperInfo& info, uint16_t index, uint8_t* out) noexcept {
  const uint32_t offset = uint32_t{index} * info.segment_size;
  const size_t length = segment_length(info, index);
  const size_t transport_length = length - info.csum_start;
  std::memcpy(out, super.data(), info.header_length);
  const uint16_t payload_sum =
      copy_and_sum(out + info.header_length, super.subspan(info.header_length + offset, length - info.header_length));

  if (info.v6) {
    store_be16(out + 4, static_cast<uint16_t>(length - kIpv6HeaderSize));
  } else {
    store_be16(out + 2, static_cast<uint16_t>(length));
    store_be16(out + 4, static_cast<uint16_t>(load_be16(out + 4) + index));
    refresh_ipv4_checksum(out, kIpv4HeaderSize);
  }
  uint8_t* transport = out + info.csum_start;
  if (info.tcp) {
    store_be32(transport + 4, load_be32(transport + 4) + offset);
    if (index + 1 < info.segments) transport[13] &= static_cast<uint8_t>(~(tcp_flag::kFin | tcp_flag::kPsh));
    if (index > 0) transport[13] &= static_cast<uint8_t>(~tcp_flag::kCwr);
  } else {
    store_be16(transport + 4, static_cast<uint16_t>(transport_length));
  }
  write_transport_checksum({out, length}, info.csum_start, protocol_of(info), info.header_length, payload_sum);
  return length;
}

}  // namespace smartvpn::inet
