// inspect() and segment() on a peer's super-packet: every segment is an ordinary packet with right
// checksums, and coalescing the segments gives the same payload again. The first two bytes of the input
// are the segment size.
#include "fuzz/require.hpp"
#include "inet/coalesce.hpp"
#include "inet/inner_packet.hpp"
#include "inet/ip_header.hpp"
#include "inet/super_packet.hpp"

using namespace smartvpn;
using namespace smartvpn::inet;

namespace {

using smartvpn::fuzz::require;

constexpr uint16_t kMtu = 1420;

void check_super(const Bytes& super, const SuperInfo& info) {
  InnerPacket whole;
  if (classify(super, whole) != Drop::none) return;  // its addresses, for instance
  require(whole.payload_offset == info.header_length && !whole.fragment);
  static PacketPool pool;
  std::vector<Packet> segments;
  require(segment(super, info, pool, [&](Packet&& p) { segments.push_back(std::move(p)); }) == info.segments);

  static Coalescer coalescer({true, true});
  Bytes payload;
  for (const Packet& p : segments) {
    InnerPacket inner;
    require(classify(p.bytes(), inner) == Drop::none);
    require(inner.payload_offset == info.header_length && p.size() <= kMtu);
    require(transport_checksum_ok(p.bytes(), inner.transport_offset, inner.protocol));
    append(payload, p.bytes().subspan(info.header_length));
    require(coalescer.add({p.bytes(), 0, 1}));
  }
  require(std::equal(payload.begin(), payload.end(), super.begin() + info.header_length, super.end()));

  Bytes again;
  for (const Coalesced& c : coalescer.flush()) {
    Bytes bytes(c.size);
    copy_out(c, bytes.data());
    if (c.segment_size != 0) {
      SuperInfo same;
      require(parse_super(bytes, c.segment_size, same) == Drop::none && same.segments == c.segments);
    }
    append(again, ByteView(bytes).subspan(info.header_length));
  }
  coalescer.clear();
  require(again == payload);
}

// Gives a packet the lengths and checksums that random bytes never have.
void repair(Bytes& packet) {
  const bool v6 = ip_version(packet) == 6;
  const size_t header = v6 ? kIpv6HeaderSize : kIpv4HeaderSize;
  if (packet.size() < header + kUdpHeaderSize || packet.size() > 65535) return;
  if (v6) {
    store_be16(packet.data() + 4, static_cast<uint16_t>(packet.size() - header));
  } else {
    packet[0] = 0x45;
    packet[6] &= 0x40;
    packet[7] = 0;
    store_be16(packet.data() + 2, static_cast<uint16_t>(packet.size()));
  }
  const bool udp = packet[v6 ? 6 : 9] == ip_protocol::kUdp;
  if (udp) store_be16(packet.data() + header + 4, static_cast<uint16_t>(packet.size() - header));
  SuperInfo info;
  if (parse_super(packet, 1000, info) == Drop::none) prepare_partial(packet, info);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  uint16_t segment_size = load_be16(data);
  Bytes packet(data + 2, data + size);
  SuperInfo info;
  if (inspect(packet, segment_size, kMtu, info) == Drop::none) check_super(packet, info);
  // The same bytes many times over: inputs are short, super-packets are long.
  const size_t want = 600 + size_t{segment_size} * 7 % 20000;
  while (packet.size() >= 28 && packet.size() < want) {
    const size_t more = std::min(packet.size(), want - packet.size());
    packet.insert(packet.end(), packet.begin(), packet.begin() + static_cast<long>(more));
  }
  segment_size = static_cast<uint16_t>(536 + segment_size % 900);
  repair(packet);
  if (inspect(packet, segment_size, kMtu, info) == Drop::none) check_super(packet, info);
  Bytes finished(packet);
  (void)finish_checksum(finished, load_be16(data), 6);
  return 0;
}
