#include "inet/coalesce_rules.hpp"

#include "inet/checksum.hpp"

namespace smartvpn::inet {
namespace {

constexpr uint8_t kTravelsAlone = tcp_flag::kSyn | tcp_flag::kRst | tcp_flag::kUrg | tcp_flag::kCwr;
constexpr uint8_t kEndsRun = tcp_flag::kFin | tcp_flag::kPsh;

uint64_t hash_flow(const FlowKey& flow) noexcept {
  uint64_t h = uint64_t{flow.ports} << 8 | flow.protocol;
  for (size_t i = 0; i < (flow.v6 ? 32u : 8u); i += 8) {
    h = (h ^ load_be64(flow.addresses + i)) * 0xff51afd7ed558ccdull;
    h ^= h >> 32;
  }
  return h * 0x9e3779b97f4a7c15ull >> 16;
}

bool has_flow_header(ByteView packet, const FlowKey& flow) noexcept {
  const bool known = flow.protocol == ip_protocol::kTcp || flow.protocol == ip_protocol::kUdp;
  return known && packet.size() >= flow.transport + kUdpHeaderSize;
}

FlowShape read_v4(ByteView packet, FlowKey& out) noexcept {
  if (packet.size() < kIpv4HeaderSize) return FlowShape::other;
  out.protocol = packet[9];
  if (out.protocol != ip_protocol::kTcp && out.protocol != ip_protocol::kUdp) return FlowShape::other;
  const bool piece = (load_be16(packet.data() + 6) & (kIpv4MoreFragments | kIpv4OffsetMask)) != 0;
  if (packet[0] != 0x45 || piece) return FlowShape::unclear;
  out.transport = kIpv4HeaderSize;
  out.addresses = packet.data() + 12;
  return has_flow_header(packet, out) ? FlowShape::flow : FlowShape::unclear;
}

FlowShape read_v6(ByteView packet, FlowKey& out) noexcept {
  if (packet.size() < kIpv6HeaderSize) return FlowShape::other;
  out.v6 = true;
  out.protocol = packet[6];
  out.transport = kIpv6HeaderSize;
  out.addresses = packet.data() + 8;
  if (out.protocol == ip_protocol::kIcmpV6) return FlowShape::other;
  return has_flow_header(packet, out) ? FlowShape::flow : FlowShape::unclear;
}

// What has to be equal in the IP headers: service class, hop limit, DF, flow label. Where DF is clear
// the identification counts up, because cutting the super-packet will count it up again.
bool same_ip_header(const RunState& run, const uint8_t* a, const uint8_t* b) noexcept {
  if (run.flow.v6) return load_be32(a) == load_be32(b) && a[7] == b[7];
  if (a[1] != b[1] || a[8] != b[8] || load_be16(a + 6) != load_be16(b + 6)) return false;
  const auto expected = static_cast<uint16_t>(load_be16(a + 4) + run.segments);
  return (a[6] & 0x40) != 0 || load_be16(b + 4) == expected;
}

// Acknowledgement, header length, flags but FIN and PSH, window, urgent pointer, options.
bool same_tcp_header(const RunState& run, const uint8_t* a, const uint8_t* b) noexcept {
  const size_t options = run.header - run.flow.transport - kTcpHeaderSize;
  return load_be32(a + 8) == load_be32(b + 8) && a[12] == b[12] && ((a[13] ^ b[13]) & ~kEndsRun) == 0 &&
         load_be16(a + 14) == load_be16(b + 14) && load_be16(a + 18) == load_be16(b + 18) &&
         std::memcmp(a + kTcpHeaderSize, b + kTcpHeaderSize, options) == 0;
}

bool checksums_ok(ByteView packet, const RunState& run) noexcept {
  if (!run.flow.v6 && checksum_of(packet.first(kIpv4HeaderSize)) != 0) return false;
  return transport_checksum_ok(packet, run.flow.transport, run.flow.protocol);
}

}  // namespace

FlowShape read_flow(ByteView packet, FlowKey& out) noexcept {
  const uint8_t version = ip_version(packet);
  if (version != 4 && version != 6) return FlowShape::other;
  const FlowShape shape = version == 4 ? read_v4(packet, out) : read_v6(packet, out);
  if (shape != FlowShape::flow) return shape;
  out.ports = load_be32(packet.data() + out.transport);
  out.hash = hash_flow(out);
  return shape;
}

bool same_flow(const RunState& run, const FlowKey& flow) noexcept {
  return run.flow.v6 == flow.v6 && run.flow.protocol == flow.protocol && run.flow.ports == flow.ports &&
         std::memcmp(run.flow.addresses, flow.addresses, flow.v6 ? 32 : 8) == 0;
}

bool read_candidate(ByteView packet, const FlowKey& flow, JoinPacket& out) noexcept {
  const uint8_t* p = packet.data();
  const size_t total = flow.v6 ? kIpv6HeaderSize + load_be16(p + 4) : load_be16(p + 2);
  if (total != packet.size()) return false;
  const uint8_t* transport = p + flow.transport;
  size_t header = kUdpHeaderSize;
  if (flow.protocol == ip_protocol::kTcp) {
    if (packet.size() < flow.transport + kTcpHeaderSize) return false;
    header = (transport[12] >> 4) * 4u;
    out.tcp_flags = transport[13];
    if (header < kTcpHeaderSize || (out.tcp_flags & kTravelsAlone) != 0 || (out.tcp_flags & tcp_flag::kAck) == 0) {
      return false;
    }
    out.seq = load_be32(transport + 4);
    out.ends_run = (out.tcp_flags & kEndsRun) != 0;
  } else if (load_be16(transport + 4) != packet.size() - flow.transport) {
    return false;
  }
  out.header = static_cast<uint16_t>(flow.transport + header);
  if (out.header >= packet.size()) return false;
  out.payload = packet.subspan(out.header);
  return true;
}

void start_rules(RunState& run, const FlowKey& flow, const JoinPacket& first, bool joinable) noexcept {
  run.flow = flow;
  if (!joinable) return;
  run.header = first.header;
  run.segment_size = static_cast<uint16_t>(first.payload.size());
  run.segments = 1;
  run.payload_length = run.segment_size;
  run.next_seq = first.seq + run.segment_size;
}

Join try_join(RunState& run, ByteView first, ByteView packet, const JoinPacket& candidate) noexcept {
  const auto size = static_cast<uint32_t>(candidate.payload.size());
  const bool tcp = run.flow.protocol == ip_protocol::kTcp;
  if (candidate.header != run.header || size > run.segment_size || run.segments >= kMaxSegments) return Join::no;
  if (run.header + run.payload_length + size > 65535) return Join::no;
  if (!same_ip_header(run, first.data(), packet.data())) return Join::no;
  const uint8_t *a = first.data() + run.flow.transport, *b = packet.data() + run.flow.transport;
  if (tcp && (candidate.seq != run.next_seq || !same_tcp_header(run, a, b))) return Join::no;

  if (!run.verified && !checksums_ok(first, run)) return Join::no;
  run.verified = true;
  if (!checksums_ok(packet, run)) return Join::no;
  ++run.segments;
  run.payload_length += size;
  run.next_seq += size;
  run.last_flags = candidate.tcp_flags & kEndsRun;
  return candidate.ends_run || size < run.segment_size ? Join::yes_and_close : Join::yes;
}

SuperInfo write_run_header(const RunState& run, ByteView first, uint8_t* out) noexcept {
  SuperInfo info;
  info.tcp = run.flow.protocol == ip_protocol::kTcp;
  info.v6 = run.flow.v6;
  info.header_length = run.header;
  info.segment_size = run.segment_size;
  info.csum_start = run.flow.transport;
  info.csum_offset = info.tcp ? 16 : 6;
  info.segments = run.segments;
  info.payload_length = run.payload_length;

  std::memcpy(out, first.data(), run.header);
  const uint32_t length = run.header + run.payload_length;
  if (info.v6) {
    store_be16(out + 4, static_cast<uint16_t>(length - kIpv6HeaderSize));
  } else {
    store_be16(out + 2, static_cast<uint16_t>(length));
  }
  uint8_t* transport = out + run.flow.transport;
  if (info.tcp) {
    transport[13] |= run.last_flags;
  } else {
    store_be16(transport + 4, static_cast<uint16_t>(length - run.flow.transport));
  }
  prepare_partial({out, run.header}, info);
  return info;
}

}  // namespace smartvpn::inet
