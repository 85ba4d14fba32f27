// A batch of packets through the coalescer and cut again, against the obvious answer: every flow gets its own packets
// back in order, bit for bit (but for the IPv4 identification of packets that may not be fragmented), damaged ones too.
// Input: a byte of options, then twelve bytes a packet: its flow, what is odd about it, its sequence number and size.
#include <map>

#include "fuzz/require.hpp"
#include "inet/coalesce.hpp"
#include "inet/inner_packet.hpp"
#include "support/inet_packets.hpp"

using namespace smartvpn;
using namespace smartvpn::inet;

namespace {

using smartvpn::fuzz::require;

constexpr uint16_t kMtu = 1420;
using Flow = std::pair<uint64_t, int>;  // session, and which flow of it
using Packets = std::map<Flow, std::vector<Bytes>>;

// A flow by its number; what does not tell flows apart (TTL, options, window) is up to `odd`.
Bytes make_packet(int flow, uint8_t odd, uint8_t flags, uint32_t seq, size_t size) {
  const bool v6 = (flow & 1) != 0, udp = (flow & 2) != 0;
  const char* src = v6 ? "fd00:8::2" : "10.8.0.2";
  const char* dst = v6 ? "2001:db8::9" : "192.0.2.9";
  const auto port = static_cast<uint16_t>(1000 + (flow >> 2));
  const Bytes data = test::pattern(size, static_cast<uint8_t>(seq * 7));
  if (udp) return test::udp_packet(src, port, dst, 53, data);
  TcpHeader header;
  header.src_port = port;
  header.dst_port = 443;
  header.seq = seq;
  header.ack = 77u + (odd & 1);
  header.flags = flags;
  header.window = odd & 2 ? 100 : 200;
  const uint8_t options[12] = {1, 1, 8, 10, 0, 0, 0, static_cast<uint8_t>(odd & 1), 0, 0, 0, 0};
  return test::tcp_packet(src, dst, header, data, odd & 4 ? ByteView(options) : ByteView());
}

// Changes that leave a packet one that classify() takes, but not one that may stand in a run.
void spoil(Bytes& packet, uint8_t how, uint8_t value) {
  const bool v6 = ip_version(packet) == 6;
  switch (how >> 4) {
    case 1:
      packet.back() ^= value;  // the transport's checksum is then wrong
      break;
    case 2:
      packet[v6 ? 7 : 8] = std::max<uint8_t>(1, value);  // TTL
      break;
    case 3:
      packet[1] = value;  // TOS, or the flow label
      break;
    case 4:
      if (!v6) store_be16(packet.data() + 6, value & 1 ? 0 : kIpv4DontFragment);
      break;
    case 5:
      if (!v6) store_be16(packet.data() + 4, value);
      break;
    case 6:
      if (packet.size() > 53) packet[v6 ? 40 + 13 : 20 + 13] ^= value;  // TCP: any flags, with a wrong checksum
      break;
    default:
      return;
  }
  if (!v6) refresh_ipv4_checksum(packet.data(), kIpv4HeaderSize);
}

// With DF set nobody reads the identification: cutting counts it up.
Bytes comparable(Bytes packet) {
  if (ip_version(packet) == 4 && (load_be16(packet.data() + 6) & kIpv4DontFragment)) {
    store_be16(packet.data() + 4, 0);
    refresh_ipv4_checksum(packet.data(), kIpv4HeaderSize);
  }
  return packet;
}

// A flow, as its packet tells it.
int flow_of(const Bytes& packet) {
  InnerPacket p;
  require(classify(packet, p) == Drop::none && p.has_ports);
  return (p.src_port - 1000) << 2 | (p.protocol == ip_protocol::kUdp ? 2 : 0) | (p.version == 6 ? 1 : 0);
}

void take(Packets& out, const Coalesced& result, PacketPool& pool) {
  Bytes whole(result.size);
  copy_out(result, whole.data());
  const auto add = [&](Bytes packet) {
    out[{result.session, flow_of(packet)}].push_back(comparable(std::move(packet)));
  };
  if (result.segment_size == 0) {
    require(result.payloads.empty() && result.segments == 1);
    return add(whole);
  }
  SuperInfo info;
  require(result.segments >= 2 && result.segments <= kMaxSegments);
  require(parse_super(whole, result.segment_size, info) == Drop::none && info.segments == result.segments);
  require(info.header_length == result.info.header_length && info.payload_length == result.info.payload_length);
  Bytes prepared = whole;
  prepare_partial(prepared, info);
  require(prepared == whole);  // the form that a peer's inspect() asks for
  require(segment(whole, info, pool, [&](Packet&& p) {
            require(transport_checksum_ok(p.bytes(), info.csum_start, info.tcp ? 6 : 17));
            add(Bytes(p.bytes().begin(), p.bytes().end()));
          }) == info.segments);
}

void run(ByteReader input, Coalescer& coalescer) {
  static PacketPool pool;
  std::vector<Bytes> kept;
  Packets want, got;
  uint32_t next[64] = {};
  while (input.remaining() >= 12 && kept.size() < 200) {
    const ByteView b = input.take(12);
    const int flow = b[0] & 15;
    const uint64_t session = 1 + (b[0] >> 7);
    uint32_t& seq = next[flow | (session == 2 ? 16 : 0)];
    seq += b[1] & 0x80 ? static_cast<uint32_t>(load_be16(b.data() + 2)) << (b[1] & 16) : 0;
    // Sizes repeat, or nothing would ever join.
    const size_t size = b[4] & 0x80 ? load_be16(b.data() + 5) % 1300 : 100u + (b[4] & 3u) * 300u;
    const uint8_t flags = b[7] & 0x80 ? b[7] : tcp_flag::kAck | (b[7] & tcp_flag::kPsh);
    Bytes packet = make_packet(flow, b[8], flags, seq, size);
    seq += static_cast<uint32_t>(size);
    spoil(packet, b[9], b[10]);
    InnerPacket inner;
    if (classify(packet, inner) != Drop::none) continue;
    require(packet.size() <= kMtu);
    kept.push_back(packet);  // the views' bytes stay where they are
    if (!coalescer.add({kept.back(), 0, session})) {
      kept.pop_back();
      break;
    }
    want[{session, flow}].push_back(comparable(packet));
  }
  for (const Coalesced& result : coalescer.flush()) take(got, result, pool);
  coalescer.clear();
  require(got == want && coalescer.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static Coalescer coalescers[4] = {Coalescer({false, false}), Coalescer({true, false}), Coalescer({false, true}),
                                    Coalescer({true, true})};
  run(ByteReader(ByteView(data + 1, size - 1)), coalescers[data[0] & 3]);
  return 0;
}
