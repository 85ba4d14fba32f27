// See same_flow.hpp. What classify() checks and the packet before does not vouch for is checked here again: lengths,
// the header's checksum, where the TCP header ends.
#include "inet/same_flow.hpp"

#include "inet/checksum.hpp"
#include "inet/ip_header.hpp"

namespace smartvpn::inet {
namespace {

bool is_plain(const InnerPacket& info) noexcept {
  const bool known = info.protocol == ip_protocol::kTcp || info.protocol == ip_protocol::kUdp;
  return known && info.has_ports && !info.fragment && !info.has_fragment_header && info.extension_headers == 0 &&
         !info.has_ip_options && !info.multicast && !info.limited_broadcast;
}

// Version and header length, protocol, addresses and ports; no fragment.
bool same_v4(const uint8_t* a, const uint8_t* b) noexcept {
  return a[0] == b[0] && a[9] == b[9] && (load_be16(b + 6) & (kIpv4MoreFragments | kIpv4OffsetMask)) == 0 &&
         std::memcmp(a + 12, b + 12, 12) == 0;
}

bool same_v6(const uint8_t* a, const uint8_t* b) noexcept {
  return a[0] >> 4 == b[0] >> 4 && a[6] == b[6] && std::memcmp(a + 8, b + 8, 36) == 0;
}

size_t length_of(const uint8_t* p, bool v6) noexcept {
  return v6 ? kIpv6HeaderSize + load_be16(p + 4) : load_be16(p + 2);
}

// Where the payload begins, behind the IP header; 0 where classify() has to look.
size_t transport_size(ByteView transport, bool tcp) noexcept {
  if (!tcp) {
    const size_t length = load_be16(transport.data() + 4);
    return length >= kUdpHeaderSize && length <= transport.size() ? kUdpHeaderSize : 0;
  }
  const size_t header = (transport[12] >> 4) * 4u;
  const bool begins = (transport[13] & tcp_flag::kSyn) != 0;
  return header < kTcpHeaderSize || header > transport.size() || begins ? 0 : header;
}

}  // namespace

bool is_same_flow(ByteView before, ByteView packet, InnerPacket& info) noexcept {
  if (!is_plain(info)) return false;
  const bool v6 = info.version == 6, tcp = info.protocol == ip_protocol::kTcp;
  const size_t header = v6 ? kIpv6HeaderSize : kIpv4HeaderSize;
  const size_t least = header + (tcp ? kTcpHeaderSize : kUdpHeaderSize);
  if (before.size() < least || packet.size() < least) return false;
  const uint8_t* p = packet.data();
  if (v6 ? !same_v6(before.data(), p) : !same_v4(before.data(), p)) return false;
  if (length_of(p, v6) != packet.size()) return false;
  if (!v6 && checksum_of(packet.first(kIpv4HeaderSize)) != 0) return false;
  const size_t transport = transport_size(packet.subspan(header), tcp);
  if (transport == 0) return false;

  info.hop_limit = v6 ? p[7] : p[8];
  info.dont_fragment = v6 || (load_be16(p + 6) & kIpv4DontFragment) != 0;
  info.total_length = static_cast<uint32_t>(packet.size());
  info.payload_offset = static_cast<uint16_t>(header + transport);
  info.tcp_flags = tcp ? p[header + 13] : 0;
  return true;
}

}  // namespace smartvpn::inet
