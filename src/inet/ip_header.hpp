// Fixed layouts of IPv4, IPv6, TCP, UDP and ICMP headers (RFC 791, 8200, 9293, 768, 792, 4443):
// offsets, protocol numbers and plain readers and writers. Readers check nothing but what their
// comment says; `inner_packet.hpp` is where a hostile packet is judged.
#pragma once

#include "base/bytes.hpp"
#include "inet/address.hpp"

namespace smartvpn::inet {

namespace ip_protocol {
constexpr uint8_t kHopByHop = 0, kIcmp = 1, kIgmp = 2, kIpInIp = 4, kTcp = 6, kUdp = 17, kDccp = 33, kIpv6InIp = 41,
                  kRouting = 43, kFragment = 44, kGre = 47, kEsp = 50, kAuth = 51, kIcmpV6 = 58, kNoNext = 59,
                  kDestination = 60, kIpIp = 94, kEtherIp = 97, kL2tp = 115, kSctp = 132, kMobility = 135,
                  kUdpLite = 136, kMplsInIp = 137, kHip = 139, kShim6 = 140;
}  // namespace ip_protocol

namespace tcp_flag {
constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10, kUrg = 0x20, kEce = 0x40,
                  kCwr = 0x80;
}  // namespace tcp_flag

namespace icmp_type {
constexpr uint8_t kEchoReply = 0, kUnreachable = 3, kEcho = 8, kTimeExceeded = 11, kParameterProblem = 12;
constexpr uint8_t kV6Unreachable = 1, kV6TooBig = 2, kV6TimeExceeded = 3, kV6ParameterProblem = 4, kV6Echo = 128,
                  kV6EchoReply = 129;
}  // namespace icmp_type

constexpr size_t kIpv4HeaderSize = 20, kIpv6HeaderSize = 40, kTcpHeaderSize = 20, kUdpHeaderSize = 8,
                 kIcmpHeaderSize = 8, kIpv6FragmentHeaderSize = 8;
// The longest header a super-packet or a coalesced one can have: IPv6 40 + TCP 60.
constexpr size_t kMaxPlainHeader = 100;

constexpr uint16_t kIpv4DontFragment = 0x4000, kIpv4MoreFragments = 0x2000, kIpv4OffsetMask = 0x1fff;

// 4, 6, or whatever else the first nibble says; 0 for no bytes at all.
inline uint8_t ip_version(ByteView packet) noexcept { return packet.empty() ? uint8_t{0} : packet[0] >> 4; }

// An IPv4 header without options.
struct Ipv4Header {
  IpAddress src, dst;
  uint8_t protocol = 0, ttl = 64, tos = 0;
  uint16_t id = 0;
  uint16_t flags_and_offset = kIpv4DontFragment;
};
// Writes 20 bytes with a valid checksum. `payload` bytes follow; 20 + payload must fit 65535.
void write_ipv4_header(uint8_t* out, const Ipv4Header& header, size_t payload) noexcept;
// Recomputes the checksum of the IPv4 header at `header`, `size` bytes long.
void refresh_ipv4_checksum(uint8_t* header, size_t size) noexcept;

struct Ipv6Header {
  IpAddress src, dst;
  uint8_t next_header = 0, hop_limit = 64, traffic_class = 0;
  uint32_t flow_label = 0;  // 20 bits
};
// Writes 40 bytes. `payload` at most 65535.
void write_ipv6_header(uint8_t* out, const Ipv6Header& header, size_t payload) noexcept;

struct TcpHeader {
  uint16_t src_port = 0, dst_port = 0;
  uint32_t seq = 0, ack = 0;
  uint8_t flags = tcp_flag::kAck;
  uint16_t window = 0xffff;
  uint16_t urgent = 0;
};
// Writes 20 + options.size() bytes (options: a multiple of 4, at most 40); the checksum is left zero.
void write_tcp_header(uint8_t* out, const TcpHeader& header, ByteView options = {}) noexcept;
// Writes 8 bytes; the checksum is left zero. `payload` bytes follow.
void write_udp_header(uint8_t* out, uint16_t src_port, uint16_t dst_port, size_t payload) noexcept;

// Offsets of the checksum field inside a transport header: 16 for TCP, 6 for UDP, 2 for ICMP and
// ICMPv6; nothing for the rest.
std::optional<uint16_t> checksum_offset(uint8_t protocol) noexcept;

// Computes the transport checksum of a whole, unfragmented packet (TCP, UDP, ICMP, ICMPv6) and stores
// it. `transport` is the offset of the transport header; the transport reaches to the packet's end.
// False, and nothing written, if the protocol has none or the packet is too short.
bool write_transport_checksum(ByteSpan packet, size_t transport, uint8_t protocol) noexcept;
// The same where `data_sum`, of all from `data` on, is known. `data` is an even number behind `transport`.
bool write_transport_checksum(ByteSpan packet, size_t transport, uint8_t protocol, size_t data,
                              uint16_t data_sum) noexcept;

// Whether that checksum is right. A UDP/IPv4 checksum of zero ("none") is not.
bool transport_checksum_ok(ByteView packet, size_t transport, uint8_t protocol) noexcept;

}  // namespace smartvpn::inet
