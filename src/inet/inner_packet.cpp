// The IP layer of classify(): lengths, addresses, options, extension headers, fragments. What comes
// behind is judged in inner_transport.cpp.
#include "inet/inner_packet.hpp"

#include "inet/checksum.hpp"
#include "inet/inner_transport.hpp"
#include "inet/ip_header.hpp"

namespace smartvpn::inet {
namespace {

constexpr unsigned kMaxExtensionHeaders = 4;
constexpr uint8_t kJumboOption = 0xc2;
constexpr uint8_t kLooseSourceRoute = 131, kStrictSourceRoute = 137;

Drop check_length(ByteView packet, uint32_t total, const ClassifyOptions& options) noexcept {
  if (total > packet.size() || (total < packet.size() && !options.allow_padding)) return Drop::malformed_packet;
  return Drop::none;
}

// ---- IPv4 ----

Drop check_ipv4_options(ByteView options) noexcept {
  for (size_t i = 0; i < options.size();) {
    const uint8_t type = options[i];
    if (type == 0) return Drop::none;
    if (type == 1) {
      ++i;
      continue;
    }
    if (type == kLooseSourceRoute || type == kStrictSourceRoute) return Drop::source_routing;
    if (i + 2 > options.size() || options[i + 1] < 2 || i + options[i + 1] > options.size()) {
      return Drop::malformed_packet;
    }
    i += options[i + 1];
  }
  return Drop::none;
}

// A piece of a datagram: it must end within 65535 bytes and, with more to come, on an 8-byte border.
Drop check_piece(const InnerPacket& out, uint32_t data, uint32_t limit) noexcept {
  if (out.more_fragments && (data == 0 || data % 8 != 0)) return Drop::bad_fragment;
  if (out.fragment_offset + data > limit) return Drop::bad_fragment;
  return Drop::none;
}

Drop parse_ipv4(ByteView packet, InnerPacket& out, const ClassifyOptions& options) noexcept {
  const uint8_t* p = packet.data();
  if (packet.size() < kIpv4HeaderSize) return Drop::malformed_packet;
  const uint32_t header = (p[0] & 0x0fu) * 4u, total = load_be16(p + 2);
  if (header < kIpv4HeaderSize || total < header) return Drop::malformed_packet;
  if (Drop drop = check_length(packet, total, options); drop != Drop::none) return drop;
  if (checksum_of(packet.first(header)) != 0) return Drop::malformed_packet;

  out.src = IpAddress::v4(std::span<const uint8_t, 4>(p + 12, 4));
  out.dst = IpAddress::v4(std::span<const uint8_t, 4>(p + 16, 4));
  if (p[12] >= 224 && (p[12] < 240 || load_be32(p + 12) == 0xffffffff)) return Drop::malformed_packet;
  out.multicast = p[16] >= 224 && p[16] < 240;
  out.limited_broadcast = load_be32(p + 16) == 0xffffffff;
  out.total_length = total;
  out.protocol = p[9];
  out.hop_limit = p[8];
  out.transport_offset = static_cast<uint16_t>(header);
  if (header > kIpv4HeaderSize) {
    out.has_ip_options = true;
    const Drop drop = check_ipv4_options(packet.subspan(kIpv4HeaderSize, header - kIpv4HeaderSize));
    if (drop != Drop::none) return drop;
  }

  const uint16_t piece = load_be16(p + 6);
  out.dont_fragment = (piece & kIpv4DontFragment) != 0;
  out.more_fragments = (piece & kIpv4MoreFragments) != 0;
  out.fragment_offset = static_cast<uint16_t>((piece & kIpv4OffsetMask) * 8);
  out.fragment = out.more_fragments || out.fragment_offset != 0;
  if (!out.fragment) return Drop::none;
  out.fragment_id = load_be16(p + 4);
  out.fragment_data_offset = static_cast<uint16_t>(header);
  return check_piece(out, total - header, 65535 - header);
}

// ---- IPv6 ----

// ::ffff:0:0/96 and ::/96.
bool is_mapped_or_compatible(const uint8_t* address) noexcept {
  const uint32_t third = load_be32(address + 8);
  return load_be64(address) == 0 && (third == 0 || third == 0xffff);
}

bool is_unspecified(const uint8_t* address) noexcept { return load_be64(address) == 0 && load_be64(address + 8) == 0; }

Drop check_ipv6_addresses(const uint8_t* p, InnerPacket& out) noexcept {
  if (is_mapped_or_compatible(p + 24)) return Drop::mapped_address;
  if (is_mapped_or_compatible(p + 8) && !is_unspecified(p + 8)) return Drop::mapped_address;
  if (p[8] == 0xff) return Drop::malformed_packet;
  out.src = IpAddress::v6_verbatim(std::span<const uint8_t, 16>(p + 8, 16));
  out.dst = IpAddress::v6_verbatim(std::span<const uint8_t, 16>(p + 24, 16));
  out.multicast = p[24] == 0xff;
  return Drop::none;
}

Drop check_hop_by_hop(ByteView options) noexcept {
  for (size_t i = 0; i < options.size();) {
    if (options[i] == 0) {
      ++i;
      continue;
    }
    if (options[i] == kJumboOption) return Drop::jumbogram;
    if (i + 2 > options.size()) return Drop::malformed_packet;
    i += 2u + options[i + 1];
    if (i > options.size()) return Drop::malformed_packet;
  }
  return Drop::none;
}

bool is_extension(uint8_t next) noexcept {
  switch (next) {
    case ip_protocol::kHopByHop:
    case ip_protocol::kRouting:
    case ip_protocol::kFragment:
    case ip_protocol::kAuth:
    case ip_protocol::kDestination:
    case ip_protocol::kMobility:
    case ip_protocol::kHip:
    case ip_protocol::kShim6:
      return true;
    default:
      return false;
  }
}

Drop read_fragment_header(const uint8_t* h, uint32_t at, InnerPacket& out) noexcept {
  if (out.has_fragment_header) return Drop::bad_fragment;
  const uint16_t field = load_be16(h + 2);
  out.has_fragment_header = true;
  out.more_fragments = (field & 1) != 0;
  out.fragment_offset = field & 0xfff8;
  out.fragment = out.more_fragments || out.fragment_offset != 0;
  out.fragment_id = load_be32(h + 4);
  out.fragment_data_offset = static_cast<uint16_t>(at + kIpv6FragmentHeaderSize);
  return out.fragment ? check_piece(out, out.total_length - out.fragment_data_offset, 65535) : Drop::none;
}

// One extension header of type `type` at `h`, `size` bytes long.
Drop check_extension(uint8_t type, const uint8_t* h, uint32_t size, uint32_t at, InnerPacket& out) noexcept {
  switch (type) {
    case ip_protocol::kHopByHop:
      if (at != kIpv6HeaderSize) return Drop::malformed_packet;  // RFC 8200: first or not at all
      return check_hop_by_hop({h + 2, size - 2});
    case ip_protocol::kRouting:
      return h[3] != 0 ? Drop::routing_header : Drop::none;
    case ip_protocol::kFragment:
      return read_fragment_header(h, at, out);
    default:
      return Drop::none;
  }
}

Drop walk_extensions(ByteView packet, uint8_t next, InnerPacket& out) noexcept {
  uint32_t at = kIpv6HeaderSize;
  while (is_extension(next) && !out.later_fragment()) {
    if (++out.extension_headers > kMaxExtensionHeaders) return Drop::extension_headers;
    // A first fragment has to hold the whole chain (RFC 7112).
    const Drop cut_off = out.fragment ? Drop::bad_fragment : Drop::malformed_packet;
    if (at + 8 > out.total_length) return cut_off;
    const uint8_t* h = packet.data() + at;
    const uint32_t size = next == ip_protocol::kFragment ? uint32_t{kIpv6FragmentHeaderSize}
                          : next == ip_protocol::kAuth   ? (h[1] + 2u) * 4u
                                                         : (h[1] + 1u) * 8u;
    if (at + size > out.total_length) return cut_off;
    if (Drop drop = check_extension(next, h, size, at, out); drop != Drop::none) return drop;
    next = h[0];
    at += size;
  }
  out.protocol = next;
  out.transport_offset = static_cast<uint16_t>(at);
  return Drop::none;
}

// A payload length of zero in front of a hop-by-hop header: a jumbogram, or nonsense.
Drop zero_payload(ByteView packet) noexcept {
  if (packet.size() < kIpv6HeaderSize + 8) return Drop::malformed_packet;
  const size_t size = (packet[kIpv6HeaderSize + 1] + 1u) * 8u;
  const ByteView rest = packet.subspan(kIpv6HeaderSize);
  const Drop drop = check_hop_by_hop(rest.subspan(2, std::min(size, rest.size()) - 2));
  return drop == Drop::jumbogram ? drop : Drop::malformed_packet;
}

Drop parse_ipv6(ByteView packet, InnerPacket& out, const ClassifyOptions& options) noexcept {
  const uint8_t* p = packet.data();
  if (packet.size() < kIpv6HeaderSize) return Drop::malformed_packet;
  const uint32_t payload = load_be16(p + 4);
  if (payload == 0 && p[6] == ip_protocol::kHopByHop) return zero_payload(packet);
  if (Drop drop = check_length(packet, kIpv6HeaderSize + payload, options); drop != Drop::none) return drop;
  if (Drop drop = check_ipv6_addresses(p, out); drop != Drop::none) return drop;
  out.total_length = static_cast<uint32_t>(kIpv6HeaderSize) + payload;
  out.hop_limit = p[7];
  out.dont_fragment = true;
  return walk_extensions(packet, p[6], out);
}

}  // namespace

Drop classify(ByteView packet, InnerPacket& out, const ClassifyOptions& options) noexcept {
  out = InnerPacket{};
  out.version = ip_version(packet);
  Drop drop = Drop::malformed_packet;
  if (out.version == 4) drop = parse_ipv4(packet, out, options);
  if (out.version == 6) drop = parse_ipv6(packet, out, options);
  if (drop != Drop::none) return drop;
  drop = read_transport(packet.first(out.total_length), out);
  return drop == Drop::none && out.tunnel && options.port_rules ? Drop::inner_tunnel : drop;
}

}  // namespace smartvpn::inet
