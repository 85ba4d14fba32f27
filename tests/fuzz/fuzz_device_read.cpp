// A read from a tun device, virtio header and all, of any bytes: what goes on into the tunnels are single packets, or
// super-packets in the form that a peer's inspect() asks for, and together they carry what was read.
// Input: the ten bytes of the header, the packet; a last byte says whether lengths are put right first.
#include "forward/tun/device_read.hpp"
#include "fuzz/require.hpp"
#include "inet/ip_header.hpp"

using namespace smartvpn;
using namespace smartvpn::forward;

namespace {

using smartvpn::fuzz::require;

void put_lengths_right(ByteSpan p) {
  if (p.size() < 48) return;
  const bool v6 = p[0] >> 4 == 6;
  const size_t header = v6 ? inet::kIpv6HeaderSize : inet::kIpv4HeaderSize;
  if (v6) {
    store_be16(&p[4], static_cast<uint16_t>(p.size() - header));
  } else {
    p[0] = 0x45;
    store_be16(&p[2], static_cast<uint16_t>(p.size()));
    store_be16(&p[6], inet::kIpv4DontFragment);
  }
  if (p[v6 ? 6 : 9] == inet::ip_protocol::kUdp) store_be16(&p[header + 4], static_cast<uint16_t>(p.size() - header));
}

void check_super(const Packet& packet) {
  inet::SuperInfo info;
  require(inet::parse_super(packet.bytes(), packet.segment_size, info) == Drop::none);
  require(info.segments == packet.segments && info.segments >= 2 && info.segments <= inet::kMaxSegments);
  // Right but for what inspect() has its own limits for: segment sizes and TCP flags.
  Bytes again(packet.bytes().begin(), packet.bytes().end());
  inet::prepare_partial(again, info);
  require(std::equal(again.begin(), again.end(), packet.bytes().begin(), packet.bytes().end()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < VirtioHeader::kSize + 2) return 0;
  static PacketPool pool;
  VirtioHeader header = VirtioHeader::load(data);
  Packet read = pool.copy_of(ByteView(data + VirtioHeader::kSize, size - VirtioHeader::kSize - 1));
  if (!read) return 0;
  if (data[size - 1] & 1) put_lengths_right(read.bytes());
  if (data[size - 1] & 2) header.gso_type = VirtioHeader::kGsoTcp4;
  const size_t before = read.size();
  inet::SuperInfo info;
  const bool super = header.is_gso() && inet::parse_super(read.bytes(), header.gso_size, info) == Drop::none;
  std::vector<Packet> out;
  const ReadDrop lost = take_device_read(std::move(read), header, pool, out);
  require((lost.why == Drop::none) == (lost.packets == 0) && (lost.packets == 0) == !out.empty());
  require(super || lost.why != Drop::none || (out.size() == 1 && out[0].size() == before && out[0].segment_size == 0));
  if (!super) return 0;
  size_t payload = 0;
  for (const Packet& packet : out) {
    payload += packet.size() - info.header_length;
    if (packet.segment_size != 0) {
      require(out.size() == 1);
      check_super(packet);
    } else {
      require(inet::transport_checksum_ok(packet.bytes(), info.csum_start, info.tcp ? 6 : 17));
    }
  }
  require(payload == info.payload_length);
  return 0;
}
