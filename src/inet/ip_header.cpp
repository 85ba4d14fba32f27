#include "inet/ip_header.hpp"

#include "inet/checksum.hpp"

namespace smartvpn::inet {

void refresh_ipv4_checksum(uint8_t* header, size_t size) noexcept {
  store_be16(header + 10, 0);
  store_be16(header + 10, checksum_of({header, size}));
}

void write_ipv4_header(uint8_t* out, const Ipv4Header& header, size_t payload) noexcept {
  out[0] = 0x45;
  out[1] = header.tos;
  store_be16(out + 2, static_cast<uint16_t>(kIpv4HeaderSize + payload));
  store_be16(out + 4, header.id);
  store_be16(out + 6, header.flags_and_offset);
  out[8] = header.ttl;
  out[9] = header.protocol;
  std::memcpy(out + 12, header.src.bytes().data(), 4);
  std::memcpy(out + 16, header.dst.bytes().data(), 4);
  refresh_ipv4_checksum(out, kIpv4HeaderSize);
}

void write_ipv6_header(uint8_t* out, const Ipv6Header& header, size_t payload) noexcept {
  store_be32(out, 6u << 28 | uint32_t{header.traffic_class} << 20 | (header.flow_label & 0xfffff));
  store_be16(out + 4, static_cast<uint16_t>(payload));
  out[6] = header.next_header;
  out[7] = header.hop_limit;
  std::copy_n(header.src.bytes().begin(), 16, out + 8);
  std::copy_n(header.dst.bytes().begin(), 16, out + 24);
}

void write_tcp_header(uint8_t* out, const TcpHeader& header, ByteView options) noexcept {
  store_be16(out, header.src_port);
  store_be16(out + 2, header.dst_port);
  store_be32(out + 4, header.seq);
  store_be32(out + 8, header.ack);
  out[12] = static_cast<uint8_t>((kTcpHeaderSize + options.size()) / 4 << 4);
  out[13] = header.flags;
  store_be16(out + 14, header.window);
  store_be16(out + 16, 0);
  store_be16(out + 18, header.urgent);
  std::copy(options.begin(), options.end(), out + kTcpHeaderSize);
}

void write_udp_header(uint8_t* out, uint16_t src_port, uint16_t dst_port, size_t payload) noexcept {
  store_be16(out, src_port);
  store_be16(out + 2, dst_port);
  store_be16(out + 4, static_cast<uint16_t>(kUdpHeaderSize + payload));
  store_be16(out + 6, 0);
}

std::optional<uint16_t> checksum_offset(uint8_t protocol) noexcept {
  switch (protocol) {
    case ip_protocol::kTcp:
      return uint16_t{16};
    case ip_protocol::kUdp:
      return uint16_t{6};
    case ip_protocol::kIcmp:
    case ip_protocol::kIcmpV6:
      return uint16_t{2};
    default:
      return std::nullopt;
  }
}

namespace {

// The sum over transport header, data and, where the protocol has one, pseudo-header. That of what begins at `data` is
// known already.
uint64_t transport_sum(ByteView packet, size_t transport, uint8_t protocol, size_t data, uint16_t data_sum) noexcept {
  uint64_t sum = uint64_t{sum_bytes(packet.subspan(transport, data - transport))} + data_sum;
  if (protocol != ip_protocol::kIcmp) {
    sum += pseudo_header_sum(packet.data(), protocol, static_cast<uint32_t>(packet.size() - transport));
  }
  return sum;
}

uint64_t transport_sum(ByteView packet, size_t transport, uint8_t protocol) noexcept {
  return transport_sum(packet, transport, protocol, packet.size(), 0);
}

bool holds_checksum(ByteView packet, size_t transport, std::optional<uint16_t> field) noexcept {
  const size_t header = ip_version(packet) == 6 ? kIpv6HeaderSize : kIpv4HeaderSize;
  return field && transport >= header && packet.size() >= transport + *field + 2;
}

}  // namespace

bool write_transport_checksum(ByteSpan packet, size_t transport, uint8_t protocol) noexcept {
  return write_transport_checksum(packet, transport, protocol, packet.size(), 0);
}

bool write_transport_checksum(ByteSpan packet, size_t transport, uint8_t protocol, size_t data,
                              uint16_t data_sum) noexcept {
  const auto field = checksum_offset(protocol);
  if (!holds_checksum(packet, transport, field) || data < transport + *field + 2 || data > packet.size()) return false;
  uint8_t* at = packet.data() + transport + *field;
  store_be16(at, 0);
  uint16_t checksum = finish_sum(transport_sum(packet, transport, protocol, data, data_sum));
  if (checksum == 0 && protocol == ip_protocol::kUdp) checksum = 0xffff;  // 0 would mean "none"
  store_be16(at, checksum);
  return true;
}

bool transport_checksum_ok(ByteView packet, size_t transport, uint8_t protocol) noexcept {
  const auto field = checksum_offset(protocol);
  if (!holds_checksum(packet, transport, field)) return false;
  if (protocol == ip_protocol::kUdp && load_be16(packet.data() + transport + 6) == 0) return false;
  return finish_sum(transport_sum(packet, transport, protocol)) == 0;
}

}  // namespace smartvpn::inet
