#include "inet/super_packet.hpp"

#include <gtest/gtest.h>

#include "inet/inner_packet.hpp"
#include "support/inet_packets.hpp"

namespace smartvpn::inet {
namespace {

using namespace smartvpn::test;

constexpr uint16_t kMtu = 1420;

struct Super {
  Bytes bytes;
  uint16_t segment_size;
};

Super prepared(Bytes bytes, uint16_t segment_size) {
  SuperInfo info;
  EXPECT_EQ(parse_super(bytes, segment_size, info), Drop::none);
  prepare_partial(bytes, info);
  return {std::move(bytes), segment_size};
}

Super big_tcp4(size_t payload = 5000, uint8_t flags = tcp_flag::kAck, ByteView options = {}) {
  TcpHeader header;
  header.src_port = 1000;
  header.dst_port = 443;
  header.seq = 0xfffff000;
  header.flags = flags;
  return prepared(tcp_packet("10.8.0.2", "192.0.2.9", header, pattern(payload), options), 1300);
}
Super big_tcp6(size_t payload = 5000, uint8_t flags = tcp_flag::kAck) {
  TcpHeader header;
  header.flags = flags;
  return prepared(tcp_packet("fd00:8::2", "2001:db8::9", header, pattern(payload)), 1300);
}
Super big_udp4(size_t payload = 5000) {
  return prepared(udp_packet("10.8.0.2", 4000, "192.0.2.9", 443, pattern(payload)), 1200);
}
Super big_udp6(size_t payload = 5000) {
  return prepared(udp_packet("fd00:8::2", 4000, "2001:db8::9", 443, pattern(payload)), 1250);
}

std::vector<Bytes> cut(const Super& super) {
  SuperInfo info;
  EXPECT_EQ(parse_super(super.bytes, super.segment_size, info), Drop::none);
  std::vector<Bytes> out;
  PacketPool pool;
  const size_t n =
      segment(super.bytes, info, pool, [&](Packet&& p) { out.emplace_back(p.bytes().begin(), p.bytes().end()); });
  EXPECT_EQ(n, info.segments);
  return out;
}

template <class Fn>
Drop inspect_edited(Super super, Fn edit, uint16_t mtu = kMtu) {
  edit(super);
  SuperInfo info;
  return inspect(super.bytes, super.segment_size, mtu, info);
}
template <class Fn>
void expect_refused(const Super& super, Fn edit) {
  EXPECT_EQ(inspect_edited(super, edit), Drop::bad_super_packet) << to_hex(ByteView(super.bytes).first(60));
}

TEST(SuperPacket, DerivesEveryFieldFromTheHeaders) {
  SuperInfo info;
  const Super super = big_tcp6();
  ASSERT_EQ(inspect(super.bytes, 1300, kMtu, info), Drop::none);
  EXPECT_TRUE(info.tcp);
  EXPECT_TRUE(info.v6);
  EXPECT_FALSE(info.ecn);
  EXPECT_EQ(info.header_length, 60);
  EXPECT_EQ(info.segment_size, 1300);
  EXPECT_EQ(info.csum_start, 40);
  EXPECT_EQ(info.csum_offset, 16);
  EXPECT_EQ(info.segments, 4);
  EXPECT_EQ(info.payload_length, 5000u);
  ASSERT_EQ(inspect(big_udp4().bytes, 1200, kMtu, info), Drop::none);
  EXPECT_FALSE(info.tcp);
  EXPECT_EQ(info.header_length, 28);
  EXPECT_EQ(info.csum_start, 20);
  EXPECT_EQ(info.csum_offset, 6);
  EXPECT_EQ(info.segments, 5);
}

TEST(SuperPacket, AcceptsAllFourKinds) {
  for (const Super& super : {big_tcp4(), big_tcp6(), big_udp4(), big_udp6()}) {
    SuperInfo info;
    InnerPacket inner;
    EXPECT_EQ(inspect(super.bytes, super.segment_size, kMtu, info), Drop::none);
    EXPECT_EQ(classify(super.bytes, inner), Drop::none);
  }
}

TEST(SuperPacket, RefusesWhatTheProtocolNames) {
  for (const Super& s : {big_tcp4(), big_tcp6(), big_udp4(), big_udp6()}) {
    const bool v6 = s.bytes[0] >> 4 == 6;
    expect_refused(s, [](Super& x) { x.bytes.push_back(0); });
    expect_refused(s, [](Super& x) { x.bytes.pop_back(); });
    expect_refused(s, [](Super& x) { x.segment_size = 0; });
    expect_refused(s, [&](Super& x) { x.segment_size = v6 ? 1219 : 535; });
    expect_refused(s, [](Super& x) { x.segment_size = 1393; });
    expect_refused(s, [](Super& x) { x.bytes[0] = 0x56; });
    expect_refused(s, [v6](Super& x) { x.bytes[v6 ? 6 : 9] = 47; });
    expect_refused(s, [v6](Super& x) { x.bytes[v6 ? 6 : 9] = v6 ? ip_protocol::kFragment : ip_protocol::kIcmp; });
    expect_refused(s,
                   [v6](Super& x) { x.bytes[v6 ? 56 : 36] ^= 0x40, x.bytes[v6 ? 46 : 26] ^= 0x40; });  // checksum field
    for (size_t size = 0; size < 70; ++size) expect_refused(s, [size](Super& x) { x.bytes.resize(size); });
  }
  expect_refused(big_tcp4(), [](Super& x) { x.bytes[0] = 0x46; });   // IP options
  expect_refused(big_tcp4(), [](Super& x) { x.bytes[6] |= 0x20; });  // a fragment
  expect_refused(big_tcp4(), [](Super& x) { x.bytes[7] = 1; });      // a later one
  expect_refused(big_tcp4(), [](Super& x) { x.bytes[10] ^= 1; });    // header checksum
  expect_refused(big_tcp4(), [](Super& x) { x.bytes[32] = 0x40; });  // TCP data offset
  expect_refused(big_udp4(), [](Super& x) { x.bytes[25] ^= 1; });    // UDP length
  for (uint8_t flag : {tcp_flag::kSyn, tcp_flag::kRst, tcp_flag::kUrg}) {
    SuperInfo info;
    EXPECT_EQ(inspect(big_tcp4(5000, tcp_flag::kAck | flag).bytes, 1300, kMtu, info), Drop::bad_super_packet);
  }
}

TEST(SuperPacket, SegmentSizeBounds) {
  auto size = [](uint16_t n) { return [n](Super& s) { s.segment_size = n; }; };
  EXPECT_EQ(inspect_edited(big_tcp4(), size(536)), Drop::none);
  EXPECT_EQ(inspect_edited(big_tcp4(), size(535)), Drop::bad_super_packet);
  EXPECT_EQ(inspect_edited(big_tcp6(), size(1220)), Drop::none);
  EXPECT_EQ(inspect_edited(big_tcp6(), size(1219)), Drop::bad_super_packet);
  EXPECT_EQ(inspect_edited(big_tcp4(), size(1380)), Drop::none);  // 20 + 20 + 1380 = 1420
  EXPECT_EQ(inspect_edited(big_tcp4(), size(1381)), Drop::bad_super_packet);
  EXPECT_EQ(inspect_edited(big_udp4(), size(1392)), Drop::none);
  EXPECT_EQ(inspect_edited(big_udp4(), size(1393)), Drop::bad_super_packet);
  // TCP options count towards the lower bound, as they do in an MSS.
  const Bytes timestamps{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
  EXPECT_EQ(inspect_edited(big_tcp4(5000, tcp_flag::kAck, timestamps), size(524)), Drop::none);
  EXPECT_EQ(inspect_edited(big_tcp4(5000, tcp_flag::kAck, timestamps), size(523)), Drop::bad_super_packet);
}

TEST(SuperPacket, TwoTo128Segments) {
  auto super_of = [](size_t payload) {
    return prepared(udp_packet("10.8.0.2", 1, "192.0.2.9", 2, Bytes(payload)), 540);
  };
  auto judge = [](const Super& s) {
    SuperInfo info;
    return inspect(s.bytes, s.segment_size, kMtu, info);
  };
  EXPECT_EQ(judge(super_of(540)), Drop::bad_super_packet);
  EXPECT_EQ(judge(super_of(541)), Drop::none);
  Super most = prepared(udp_packet("10.8.0.2", 1, "192.0.2.9", 2, Bytes(65507)), 536);
  EXPECT_EQ(judge(most), Drop::none);  // 123 segments: the length field is the nearer bound
  SuperInfo info;
  ASSERT_EQ(parse_super(most.bytes, 500, info), Drop::none);
  EXPECT_EQ(info.segments, 132);
}

TEST(SuperPacket, SegmentsAreOrdinaryPackets) {
  for (const Super& super : {big_tcp4(), big_tcp6(), big_udp4(), big_udp6(), big_tcp4(1), big_udp6(1250)}) {
    SuperInfo info;
    ASSERT_EQ(parse_super(super.bytes, super.segment_size, info), Drop::none);
    Bytes payload;
    for (const Bytes& packet : cut(super)) {
      InnerPacket inner;
      ASSERT_EQ(classify(packet, inner), Drop::none);
      EXPECT_TRUE(transport_checksum_ok(packet, inner.transport_offset, inner.protocol));
      EXPECT_LE(packet.size(), info.header_length + size_t{super.segment_size});
      append(payload, ByteView(packet).subspan(info.header_length));
    }
    EXPECT_EQ(payload, Bytes(super.bytes.begin() + info.header_length, super.bytes.end()));
  }
}

TEST(SuperPacket, TcpSegmentsCountUpSequenceAndIdentification) {
  const auto packets = cut(big_tcp4(3000));
  ASSERT_EQ(packets.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(load_be32(packets[i].data() + 24), static_cast<uint32_t>(0xfffff000 + i * 1300));  // wraps
    EXPECT_EQ(load_be16(packets[i].data() + 4), 7 + i);
  }
  EXPECT_EQ(packets[2].size(), 40u + 400u);
}

TEST(SuperPacket, FinAndPshOnTheLastSegmentOnlyAndCwrOnTheFirst) {
  const uint8_t all = tcp_flag::kAck | tcp_flag::kPsh | tcp_flag::kFin | tcp_flag::kCwr | tcp_flag::kEce;
  const auto packets = cut(big_tcp4(3000, all));
  EXPECT_EQ(packets[0][33], tcp_flag::kAck | tcp_flag::kCwr | tcp_flag::kEce);
  EXPECT_EQ(packets[1][33], tcp_flag::kAck | tcp_flag::kEce);
  EXPECT_EQ(packets[2][33], tcp_flag::kAck | tcp_flag::kPsh | tcp_flag::kFin | tcp_flag::kEce);
}

TEST(SuperPacket, FinishChecksumCompletesWhatTheKernelLeft) {
  for (Super super : {big_tcp4(900), big_tcp6(900), big_udp4(900), big_udp6(900)}) {
    SuperInfo info;
    ASSERT_EQ(parse_super(super.bytes, super.segment_size, info), Drop::none);
    const uint8_t protocol = info.tcp ? ip_protocol::kTcp : ip_protocol::kUdp;
    ASSERT_FALSE(transport_checksum_ok(super.bytes, info.csum_start, protocol));
    ASSERT_TRUE(finish_checksum(super.bytes, info.csum_start, info.csum_offset));
    EXPECT_TRUE(transport_checksum_ok(super.bytes, info.csum_start, protocol));
  }
}

TEST(SuperPacket, FinishChecksumRefusesFieldsOutsideThePacket) {
  Bytes packet = big_udp4(10).bytes;
  const Bytes before = packet;
  EXPECT_FALSE(finish_checksum(packet, 20, 17));
  EXPECT_FALSE(finish_checksum(packet, 20, 18));
  EXPECT_FALSE(finish_checksum(packet, 0, 6));
  EXPECT_FALSE(finish_checksum(packet, 65535, 65534));
  EXPECT_EQ(packet, before);
}

}  // namespace
}  // namespace smartvpn::inet
