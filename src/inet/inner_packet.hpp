// The one judgement of an inner packet's own bytes, before any rule asks who sent it: headers are
// parsed to their end, and what no honest packet needs is dropped by name (behaviour.md, "Inner
// packets"). Runs once per packet or super-packet in both directions. Pure, no allocation.
#pragma once

#include <array>
#include <span>

#include "base/reason.hpp"
#include "inet/address.hpp"

namespace smartvpn::inet {

// What an ICMP error quotes of the packet it is about.
struct QuotedPacket {
  IpAddress src, dst;
  uint8_t protocol = 0;
  bool has_ports = false;
  uint16_t src_port = 0, dst_port = 0;
};

// A classified packet. Offsets are from the first byte of the IP header. Plain data, no views: it
// stays valid after the bytes are gone.
struct InnerPacket {
  uint8_t version = 0;            // 4 or 6
  uint8_t protocol = 0;           // the upper-layer protocol, behind all IPv6 extension headers
  uint8_t hop_limit = 0;          // TTL
  uint8_t extension_headers = 0;  // IPv6 only, the fragment header included
  bool has_ip_options = false;    // IPv4 header longer than 20 bytes
  bool dont_fragment = false;     // IPv4 DF; always true for IPv6
  bool fragment = false;          // offset not 0, or more to come
  bool more_fragments = false;
  bool has_fragment_header = false;  // IPv6; also for an "atomic" fragment, which has fragment == false
  bool has_ports = false;            // TCP, UDP, UDP-Lite, SCTP, DCCP, and this packet holds their header
  bool has_icmp = false;             // ICMP over IPv4 or ICMPv6 over IPv6, and this packet holds its header
  bool multicast = false;            // by destination
  bool limited_broadcast = false;    // destination 255.255.255.255
  bool tunnel = false;               // carries another packet: IP-in-IP, GRE, EtherIP, L2TPv3, MPLS
  bool has_quote = false;            // an ICMP error; `quoted` is filled
  uint8_t tcp_flags = 0;
  uint8_t icmp_type = 0, icmp_code = 0;
  uint16_t src_port = 0, dst_port = 0;
  uint16_t transport_offset = 0;      // where the upper-layer header (or a later fragment's data) begins
  uint16_t payload_offset = 0;        // behind the TCP/UDP/ICMP header; transport_offset for other protocols
  uint32_t total_length = 0;          // what the IP header says; never more than the bytes given
  uint16_t fragment_offset = 0;       // in bytes, of the data at fragment_data_offset
  uint16_t fragment_data_offset = 0;  // behind the IPv4 header or the IPv6 fragment header
  uint32_t fragment_id = 0;
  IpAddress src, dst;  // never mapped, never ::/96 (but `src` may be `::` itself)
  QuotedPacket quoted;

  bool first_fragment() const noexcept { return fragment && fragment_offset == 0; }
  bool later_fragment() const noexcept { return fragment_offset != 0; }
  bool unspecified_source() const noexcept { return src.is_unspecified(); }
};

struct ClassifyOptions {
  // Bytes behind the IP packet's own length: WireGuard pads. Refused (malformed_packet) unless set;
  // whoever sets it cuts the packet to `total_length`.
  bool allow_padding = false;
  // Some rule in force names ports: packets inside packets would walk around it, so they are dropped
  // (inner_tunnel).
  bool port_rules = false;
};

// Parses one packet. Drop::none: `out` is filled and every offset lies within the bytes. Otherwise
// the name of what is wrong, and `out` is unspecified:
//   malformed_packet  version, lengths, IPv4 header checksum, cut-off headers, multicast as source
//   mapped_address    ::ffff:0:0/96 or ::/96 in either place (`::` as a source is allowed)
//   source_routing    IPv4 loose or strict source route option
//   routing_header    IPv6 routing header with segments left
//   jumbogram         IPv6 jumbo payload option
//   extension_headers more than 4 of them
//   bad_fragment      offset 1 or a first fragment without the whole port-bearing header, a piece that
//                     ends beyond 65535 or whose length is not a multiple of 8 though more follow
//   inner_tunnel      see ClassifyOptions
//   icmp_mismatch     an ICMP error that quotes a packet which its receiver cannot have sent
// Multicast, broadcast and tunnels are otherwise only flagged: whether they pass is the router's and
// the lists' business. Transport checksums are not read (one pass over memory is enough, later).
[[nodiscard]] Drop classify(ByteView packet, InnerPacket& out, const ClassifyOptions& options = {}) noexcept;

// IPv4 addresses a rule has to see inside an IPv6 address: 64:ff9b::/96 and `nat64` prefixes of
// length 32, 40, 48, 56, 64 or 96 (RFC 6052), 6to4 (2002::/16), Teredo (2001::/32: client, then
// server). Gives how many of `out` were written: 0, 1 or 2.
size_t embedded_ipv4(const IpAddress& ip, std::span<const Cidr> nat64, std::array<IpAddress, 2>& out) noexcept;

}  // namespace smartvpn::inet
