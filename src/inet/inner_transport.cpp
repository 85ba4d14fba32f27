#include "inet/inner_transport.hpp"

#include "inet/ip_header.hpp"

namespace smartvpn::inet {
namespace {

bool is_tunnel(uint8_t protocol) noexcept {
  switch (protocol) {
    case ip_protocol::kIpInIp:
    case ip_protocol::kIpv6InIp:
    case ip_protocol::kGre:
    case ip_protocol::kIpIp:
    case ip_protocol::kEtherIp:
    case ip_protocol::kL2tp:
    case ip_protocol::kMplsInIp:
      return true;
    default:
      return false;
  }
}

// Bytes of the fixed header that begins with two ports; 0 for protocols without ports.
size_t port_header_size(uint8_t protocol) noexcept {
  switch (protocol) {
    case ip_protocol::kTcp:
      return kTcpHeaderSize;
    case ip_protocol::kUdp:
    case ip_protocol::kUdpLite:
      return kUdpHeaderSize;
    case ip_protocol::kSctp:
    case ip_protocol::kDccp:
      return 12;
    default:
      return 0;
  }
}

// Quoted headers are somebody's word about a packet that is gone: what is cut off is simply unknown.
void read_quoted_ports(ByteView quote, size_t at, QuotedPacket& out) noexcept {
  if (port_header_size(out.protocol) == 0 || quote.size() < at + 4) return;
  out.has_ports = true;
  out.src_port = load_be16(quote.data() + at);
  out.dst_port = load_be16(quote.data() + at + 2);
}

bool read_quoted_v4(ByteView quote, QuotedPacket& out) noexcept {
  if (quote.size() < kIpv4HeaderSize) return false;
  const size_t header = (quote[0] & 0x0fu) * 4u;
  if (header < kIpv4HeaderSize) return false;
  out.src = IpAddress::v4(quote.subspan<12, 4>());
  out.dst = IpAddress::v4(quote.subspan<16, 4>());
  out.protocol = quote[9];
  if ((load_be16(quote.data() + 6) & kIpv4OffsetMask) == 0) read_quoted_ports(quote, header, out);
  return true;
}

bool read_quoted_v6(ByteView quote, QuotedPacket& out) noexcept {
  if (quote.size() < kIpv6HeaderSize) return false;
  out.src = IpAddress::v6_verbatim(quote.subspan<8, 16>());
  out.dst = IpAddress::v6_verbatim(quote.subspan<24, 16>());
  out.protocol = quote[6];
  size_t at = kIpv6HeaderSize;
  bool later = false;
  for (int i = 0; i < 4 && !later && quote.size() >= at + 8; ++i) {
    const uint8_t type = out.protocol;
    if (type == ip_protocol::kFragment) {
      later = (load_be16(quote.data() + at + 2) & 0xfff8) != 0;
      out.protocol = quote[at];
      at += 8;
    } else if (type == ip_protocol::kHopByHop || type == ip_protocol::kDestination || type == ip_protocol::kRouting) {
      out.protocol = quote[at];
      at += (quote[at + 1] + 1u) * 8u;
    } else {
      break;
    }
  }
  if (!later) read_quoted_ports(quote, at, out);
  return true;
}

// An ICMP error goes to the sender of the packet it quotes, so that packet's source is our destination.
Drop read_quote(ByteView quote, InnerPacket& out) noexcept {
  if (!quote.empty() && ip_version(quote) != out.version) return Drop::icmp_mismatch;
  const bool readable = out.version == 4 ? read_quoted_v4(quote, out.quoted) : read_quoted_v6(quote, out.quoted);
  if (!readable) return Drop::malformed_packet;
  if (out.quoted.src != out.dst) return Drop::icmp_mismatch;
  out.has_quote = true;
  return Drop::none;
}

bool is_icmp_error(const InnerPacket& out) noexcept {
  if (out.version == 6) return out.icmp_type < 128;
  constexpr uint8_t kSourceQuench = 4, kRedirect = 5;
  return out.icmp_type == icmp_type::kUnreachable || out.icmp_type == kSourceQuench || out.icmp_type == kRedirect ||
         out.icmp_type == icmp_type::kTimeExceeded || out.icmp_type == icmp_type::kParameterProblem;
}

Drop read_icmp(ByteView rest, Drop cut_off, InnerPacket& out) noexcept {
  if (rest.size() < kIcmpHeaderSize) return cut_off;
  out.has_icmp = true;
  out.icmp_type = rest[0];
  out.icmp_code = rest[1];
  out.payload_offset = static_cast<uint16_t>(out.transport_offset + kIcmpHeaderSize);
  return is_icmp_error(out) ? read_quote(rest.subspan(kIcmpHeaderSize), out) : Drop::none;
}

Drop read_tcp(ByteView rest, Drop cut_off, InnerPacket& out) noexcept {
  const size_t header = (rest[12] >> 4) * 4u;
  if (header < kTcpHeaderSize) return Drop::malformed_packet;
  if (header > rest.size()) return cut_off;
  out.tcp_flags = rest[13];
  out.payload_offset = static_cast<uint16_t>(out.transport_offset + header);
  return Drop::none;
}

Drop read_udp(ByteView rest, InnerPacket& out) noexcept {
  const size_t length = load_be16(rest.data() + 4);
  if (length < kUdpHeaderSize || (!out.fragment && length > rest.size())) return Drop::malformed_packet;
  return Drop::none;
}

}  // namespace

Drop read_transport(ByteView packet, InnerPacket& out) noexcept {
  out.payload_offset = out.transport_offset;
  out.tunnel = is_tunnel(out.protocol);
  if (out.later_fragment()) {
    // RFC 3128: a second piece at offset 1 can rewrite the flags of the first.
    return out.protocol == ip_protocol::kTcp && out.fragment_offset == 8 ? Drop::bad_fragment : Drop::none;
  }
  const ByteView rest = packet.subspan(out.transport_offset);
  const Drop cut_off = out.fragment ? Drop::bad_fragment : Drop::malformed_packet;
  if (out.protocol == (out.version == 4 ? ip_protocol::kIcmp : ip_protocol::kIcmpV6)) {
    return read_icmp(rest, cut_off, out);
  }
  const size_t header = port_header_size(out.protocol);
  if (header == 0) return Drop::none;
  if (rest.size() < header) return cut_off;
  out.has_ports = true;
  out.src_port = load_be16(rest.data());
  out.dst_port = load_be16(rest.data() + 2);
  out.payload_offset = static_cast<uint16_t>(out.transport_offset + header);
  if (out.protocol == ip_protocol::kTcp) return read_tcp(rest, cut_off, out);
  if (out.protocol == ip_protocol::kUdp) return read_udp(rest, out);
  return Drop::none;
}

}  // namespace smartvpn::inet
