// Inner IP packets for tests, with right checksums.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "inet/address.hpp"
#include "inet/ip_header.hpp"

namespace smartvpn::testing {

inline Bytes ip_packet(const std::string& src, const std::string& dst, uint8_t protocol, ByteView transport) {
  auto from = *inet::IpAddress::parse(src), to = *inet::IpAddress::parse(dst);
  size_t header = from.is_v4() ? inet::kIpv4HeaderSize : inet::kIpv6HeaderSize;
  Bytes out(header + transport.size());
  if (from.is_v4()) {
    inet::Ipv4Header h;
    h.src = from, h.dst = to, h.protocol = protocol;
    inet::write_ipv4_header(out.data(), h, transport.size());
  } else {
    inet::Ipv6Header h;
    h.src = from, h.dst = to, h.next_header = protocol;
    inet::write_ipv6_header(out.data(), h, transport.size());
  }
  std::copy(transport.begin(), transport.end(), out.begin() + static_cast<ptrdiff_t>(header));
  inet::write_transport_checksum(out, header, protocol);
  return out;
}

inline Bytes echo_request(const std::string& src, const std::string& dst, std::string_view data = "abcdefgh") {
  bool v6 = src.find(':') != std::string::npos;
  Bytes icmp = {static_cast<uint8_t>(v6 ? 128 : 8), 0, 0, 0, 0x12, 0x34, 0, 1};
  append(icmp, as_bytes(data));
  return ip_packet(src, dst, v6 ? inet::ip_protocol::kIcmpV6 : inet::ip_protocol::kIcmp, icmp);
}

inline Bytes udp_packet(const std::string& src, const std::string& dst, std::string_view data) {
  Bytes udp(8);
  inet::write_udp_header(udp.data(), 1000, 2000, data.size());
  append(udp, as_bytes(data));
  return ip_packet(src, dst, inet::ip_protocol::kUdp, udp);
}

}  // namespace smartvpn::testing
