// Inner packets for tests: whole IPv4 and IPv6 packets with right lengths and checksums, built from a
// few words. Header-only; used by the tests of inet, router and of whoever moves packets.
#pragma once

#include <string_view>

#include "base/bytes.hpp"
#include "inet/checksum.hpp"
#include "inet/ip_header.hpp"

namespace smartvpn::test {

inline inet::IpAddress ip(std::string_view text) { return *inet::IpAddress::parse(text); }
inline inet::Cidr cidr(std::string_view text) { return *inet::Cidr::parse(text); }

inline Bytes pattern(size_t size, uint8_t first = 1) {
  Bytes out(size);
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(first + i * 7 + i / 251);
  return out;
}

// Text of either family; IPv6 is taken as it is written, mapped or not.
inline inet::IpAddress verbatim(std::string_view text) {
  if (text.substr(0, 7) != "::ffff:") return ip(text);
  uint8_t bytes[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  auto v4 = ip(text.substr(7));
  std::copy_n(v4.bytes().begin(), 4, bytes + 12);
  return inet::IpAddress::v6_verbatim(bytes);
}

// An IP header in front of `payload`; IPv4 with DF set, checksum right.
inline Bytes ip_packet(std::string_view src, std::string_view dst, uint8_t protocol, ByteView payload) {
  const auto from = verbatim(src), to = verbatim(dst);
  Bytes out(from.is_v4() ? inet::kIpv4HeaderSize : inet::kIpv6HeaderSize);
  if (from.is_v4()) {
    inet::Ipv4Header header;
    header.src = from;
    header.dst = to;
    header.protocol = protocol;
    header.id = 7;
    inet::write_ipv4_header(out.data(), header, payload.size());
  } else {
    inet::Ipv6Header header;
    header.src = from;
    header.dst = to;
    header.next_header = protocol;
    inet::write_ipv6_header(out.data(), header, payload.size());
  }
  append(out, payload);
  return out;
}

inline size_t ip_header_size(const Bytes& packet) {
  return packet[0] >> 4 == 6 ? inet::kIpv6HeaderSize : (packet[0] & 15u) * 4u;
}

inline Bytes with_checksum(Bytes packet, uint8_t protocol) {
  inet::write_transport_checksum(packet, ip_header_size(packet), protocol);
  return packet;
}

inline Bytes udp_packet(std::string_view src, uint16_t sport, std::string_view dst, uint16_t dport, ByteView data) {
  Bytes segment(inet::kUdpHeaderSize);
  inet::write_udp_header(segment.data(), sport, dport, data.size());
  append(segment, data);
  return with_checksum(ip_packet(src, dst, inet::ip_protocol::kUdp, segment), inet::ip_protocol::kUdp);
}

inline Bytes tcp_packet(std::string_view src, std::string_view dst, const inet::TcpHeader& header, ByteView data,
                        ByteView options = {}) {
  Bytes segment(inet::kTcpHeaderSize + options.size());
  inet::write_tcp_header(segment.data(), header, options);
  append(segment, data);
  return with_checksum(ip_packet(src, dst, inet::ip_protocol::kTcp, segment), inet::ip_protocol::kTcp);
}

// ICMP or ICMPv6, by the family of `src`. `body` follows the 8-byte header, whose last 4 are zero.
inline Bytes icmp_packet(std::string_view src, std::string_view dst, uint8_t type, uint8_t code, ByteView body) {
  Bytes message{type, code, 0, 0, 0, 0, 0, 0};
  append(message, body);
  const uint8_t protocol = verbatim(src).is_v4() ? inet::ip_protocol::kIcmp : inet::ip_protocol::kIcmpV6;
  return with_checksum(ip_packet(src, dst, protocol, message), protocol);
}

// Makes a fragment of an IPv4 packet by its header fields alone; `offset` in bytes.
inline Bytes as_fragment_v4(Bytes packet, uint16_t offset, bool more) {
  store_be16(packet.data() + 6, static_cast<uint16_t>(offset / 8 | (more ? inet::kIpv4MoreFragments : 0)));
  inet::refresh_ipv4_checksum(packet.data(), ip_header_size(packet));
  return packet;
}

// An IPv6 fragment of protocol `next`; `offset` in bytes.
inline Bytes fragment_v6(std::string_view src, std::string_view dst, uint8_t next, uint16_t offset, bool more,
                         ByteView data, uint32_t id = 99) {
  Bytes payload(8);
  payload[0] = next;
  store_be16(payload.data() + 2, static_cast<uint16_t>(offset | (more ? 1 : 0)));
  store_be32(payload.data() + 4, id);
  append(payload, data);
  return ip_packet(src, dst, inet::ip_protocol::kFragment, payload);
}

}  // namespace smartvpn::test
