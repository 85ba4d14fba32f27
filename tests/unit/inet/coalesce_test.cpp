#include "inet/coalesce.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "inet/inner_packet.hpp"
#include "support/inet_packets.hpp"

namespace smartvpn::inet {
namespace {

using namespace smartvpn::test;

constexpr size_t kSegment = 1000;

Bytes tcp(const char* src, const char* dst, uint32_t seq, ByteView data, uint8_t flags = tcp_flag::kAck,
          uint16_t port = 443, ByteView options = {}) {
  TcpHeader header;
  header.src_port = 5000;
  header.dst_port = port;
  header.seq = seq;
  header.ack = 77;
  header.flags = flags;
  return tcp_packet(src, dst, header, data, options);
}

// `count` packets of one flow, the last one `last` bytes long.
std::vector<Bytes> tcp_run(bool v6, size_t count, size_t last = kSegment, uint16_t port = 443) {
  std::vector<Bytes> out;
  for (size_t i = 0; i < count; ++i) {
    const Bytes data = pattern(i + 1 == count ? last : kSegment, static_cast<uint8_t>(i));
    const auto seq = static_cast<uint32_t>(0xfffffe00u + i * kSegment);
    out.push_back(v6 ? tcp("fd00:8::2", "2001:db8::9", seq, data, tcp_flag::kAck, port)
                     : tcp("10.8.0.2", "192.0.2.9", seq, data, tcp_flag::kAck, port));
  }
  return out;
}

struct Gathered {
  Bytes bytes;
  uint16_t segment_size, segments;
  uint64_t session;
  SuperInfo info;
};

std::vector<Gathered> collect(Coalescer& coalescer) {
  std::vector<Gathered> out;
  for (const Coalesced& c : coalescer.flush()) {
    Bytes bytes(c.size);
    copy_out(c, bytes.data());
    out.push_back({bytes, c.segment_size, c.segments, c.session, c.info});
  }
  coalescer.clear();
  return out;
}

std::vector<Gathered> coalesce(const std::vector<Bytes>& packets, Coalescer::Options options = {true, true}) {
  Coalescer coalescer(options);
  for (const Bytes& packet : packets) EXPECT_TRUE(coalescer.add({packet, 0, 1}));
  return collect(coalescer);
}

std::vector<Bytes> cut(const Gathered& result) {
  if (result.segment_size == 0) return {result.bytes};
  SuperInfo info;
  EXPECT_EQ(parse_super(result.bytes, result.segment_size, info), Drop::none);
  std::vector<Bytes> out;
  PacketPool pool;
  segment(result.bytes, info, pool, [&](Packet&& p) { out.emplace_back(p.bytes().begin(), p.bytes().end()); });
  return out;
}

TEST(Coalescer, ARunBecomesOneValidSuperPacketAndCuttingItGivesTheRunBack) {
  for (bool v6 : {false, true}) {
    const auto packets = tcp_run(v6, 10, 300);
    const auto out = coalesce(packets);
    ASSERT_EQ(out.size(), 1u);
    EXPECT_EQ(out[0].segments, 10);
    EXPECT_EQ(out[0].segment_size, kSegment);
    SuperInfo info;
    InnerPacket inner;
    if (!v6) {
      EXPECT_EQ(inspect(out[0].bytes, kSegment, 1420, info), Drop::none);
    }
    EXPECT_EQ(classify(out[0].bytes, inner), Drop::none);
    const auto again = cut(out[0]);
    ASSERT_EQ(again.size(), packets.size());
    for (size_t i = 0; i < again.size(); ++i) {
      Bytes want = packets[i];
      // With DF set nobody reads the identification; it counts up after cutting.
      if (!v6) store_be16(want.data() + 4, static_cast<uint16_t>(7 + i)), refresh_ipv4_checksum(want.data(), 20);
      EXPECT_EQ(to_hex(again[i]), to_hex(want)) << i;
    }
  }
}

TEST(Coalescer, UdpRunsOnlyWhereAskedFor) {
  for (bool v6 : {false, true}) {
    std::vector<Bytes> packets;
    for (uint8_t i = 0; i < 5; ++i) {
      packets.push_back(
          udp_packet(v6 ? "fd00::2" : "10.8.0.2", 1, v6 ? "fd00::3" : "192.0.2.9", 2, pattern(i == 4 ? 10 : 1200, i)));
    }
    const auto out = coalesce(packets, {true, true});
    ASSERT_EQ(out.size(), 1u);
    EXPECT_EQ(out[0].segments, 5);
    const auto again = cut(out[0]);
    ASSERT_EQ(again.size(), 5u);
    EXPECT_EQ(Bytes(again[4].end() - 10, again[4].end()), pattern(10, 4));
    EXPECT_EQ(coalesce(packets, {true, false}).size(), 5u);
  }
}

TEST(Coalescer, ASinglePacketPassesUntouched) {
  const auto packets = tcp_run(false, 1);
  const auto out = coalesce(packets);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].segment_size, 0);
  EXPECT_EQ(out[0].bytes, packets[0]);
}

// Each change to the second packet of two that would otherwise be put together.
TEST(Coalescer, DoesNotCoalesceAcross) {
  struct Row {
    const char* name;
    std::function<void(Bytes&)> edit;
    bool fix = true;
  };
  const Row rows[] = {
      {"service class", [](Bytes& p) { p[1] = 1; }},
      {"TTL", [](Bytes& p) { p[8] = 9; }},
      {"DF", [](Bytes& p) { p[6] = 0; }},
      {"IP options",
       [](Bytes& p) {
         p.insert(p.begin() + 20, 4, 1), p[0] = 0x46, store_be16(p.data() + 2, static_cast<uint16_t>(p.size()));
       }},
      {"a gap in the sequence", [](Bytes& p) { p[27] += 1; }},
      {"acknowledgement", [](Bytes& p) { p[31] += 1; }},
      {"window", [](Bytes& p) { p[35] ^= 1; }},
      {"ECE", [](Bytes& p) { p[33] |= tcp_flag::kEce; }},
      {"CWR", [](Bytes& p) { p[33] |= tcp_flag::kCwr; }},
      {"SYN", [](Bytes& p) { p[33] |= tcp_flag::kSyn; }},
      {"RST", [](Bytes& p) { p[33] |= tcp_flag::kRst; }},
      {"URG", [](Bytes& p) { p[33] |= tcp_flag::kUrg; }},
      {"no ACK", [](Bytes& p) { p[33] = tcp_flag::kPsh; }},
      {"another port", [](Bytes& p) { p[23] ^= 1; }},
      {"another address", [](Bytes& p) { p[19] ^= 1; }},
      {"a bigger segment", [](Bytes& p) { p.push_back(1), store_be16(p.data() + 2, static_cast<uint16_t>(p.size())); }},
      {"a fragment", [](Bytes& p) { p[6] = 0x20; }},
      {"a wrong TCP checksum", [](Bytes& p) { p.back() ^= 1; }, false},
      {"a wrong IP checksum", [](Bytes& p) { p[11] ^= 1; }, false},
      {"bytes behind the packet", [](Bytes& p) { p.push_back(0); }, false},
  };
  for (const Row& row : rows) {
    auto packets = tcp_run(false, 2);
    row.edit(packets[1]);
    if (row.fix) {
      refresh_ipv4_checksum(packets[1].data(), ip_header_size(packets[1]));
      write_transport_checksum(packets[1], ip_header_size(packets[1]), ip_protocol::kTcp);
    }
    const auto out = coalesce(packets);
    ASSERT_EQ(out.size(), 2u) << row.name;
    EXPECT_EQ(out[0].bytes, packets[0]) << row.name;
    EXPECT_EQ(out[1].bytes, packets[1]) << row.name;
  }
}

TEST(Coalescer, DoesNotCoalesceAcrossIpv6HeaderChanges) {
  for (size_t at : {1u, 3u, 7u}) {  // traffic class, flow label, hop limit
    auto packets = tcp_run(true, 2);
    packets[1][at] ^= 0x10;
    EXPECT_EQ(coalesce(packets).size(), 2u) << at;
  }
}

TEST(Coalescer, DoesNotCoalesceAcrossTcpOptions) {
  const Bytes a{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}, b{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 3};
  const Bytes first = tcp("10.8.0.2", "192.0.2.9", 0, pattern(kSegment), tcp_flag::kAck, 443, a);
  for (const Bytes& options : {b, Bytes(4, 1), Bytes{}}) {
    const Bytes second = tcp("10.8.0.2", "192.0.2.9", kSegment, pattern(kSegment), tcp_flag::kAck, 443, options);
    EXPECT_EQ(coalesce({first, second}).size(), 2u);
  }
  EXPECT_EQ(coalesce({first, tcp("10.8.0.2", "192.0.2.9", kSegment, pattern(kSegment), tcp_flag::kAck, 443, a)}).size(),
            1u);
}

TEST(Coalescer, AFirstPacketWithAWrongChecksumStaysAlone) {
  auto packets = tcp_run(false, 3);
  packets[0].back() ^= 1;
  const auto out = coalesce(packets);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].bytes, packets[0]);
  EXPECT_EQ(out[1].segments, 2);
}

TEST(Coalescer, UdpWithoutChecksumStaysAlone) {
  std::vector<Bytes> packets(2, udp_packet("10.8.0.2", 1, "192.0.2.9", 2, pattern(100)));
  for (Bytes& packet : packets) store_be16(packet.data() + 26, 0);
  EXPECT_EQ(coalesce(packets).size(), 2u);
}

TEST(Coalescer, IdentificationMustCountUpWhereDfIsClear) {
  for (int step : {0, 1, 2}) {
    auto packets = tcp_run(false, 2);
    for (size_t i = 0; i < 2; ++i) {
      packets[i][6] = 0;
      store_be16(packets[i].data() + 4, static_cast<uint16_t>(500 + static_cast<int>(i) * step));
      refresh_ipv4_checksum(packets[i].data(), 20);
    }
    EXPECT_EQ(coalesce(packets).size(), step == 1 ? 1u : 2u);
  }
}

TEST(Coalescer, PshAndFinEndARunAndShowOnItsLastSegmentOnly) {
  for (uint8_t flag : {tcp_flag::kPsh, tcp_flag::kFin}) {
    std::vector<Bytes> packets;
    for (uint32_t i = 0; i < 5; ++i) {
      const uint8_t flags = i == 2 ? static_cast<uint8_t>(tcp_flag::kAck | flag) : tcp_flag::kAck;
      packets.push_back(tcp("10.8.0.2", "192.0.2.9", i * kSegment, pattern(kSegment), flags));
    }
    const auto out = coalesce(packets);
    ASSERT_EQ(out.size(), 2u);
    EXPECT_EQ(out[0].segments, 3);
    EXPECT_EQ(out[1].segments, 2);
    const auto again = cut(out[0]);
    EXPECT_EQ(again[0][33], tcp_flag::kAck);
    EXPECT_EQ(again[2][33], tcp_flag::kAck | flag);
  }
}

TEST(Coalescer, AShortSegmentEndsARun) {
  auto packets = tcp_run(false, 3, 200);
  packets.push_back(
      tcp("10.8.0.2", "192.0.2.9", static_cast<uint32_t>(0xfffffe00u + 2 * kSegment + 200), pattern(100)));
  const auto out = coalesce(packets);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].segments, 3);
}

TEST(Coalescer, StaysWithin64KiBAndTheSegmentBound) {
  const auto out = coalesce(tcp_run(false, 100));
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].segments, 65);  // 40 + 65 * 1000 <= 65535
  std::vector<Bytes> small;
  for (uint32_t i = 0; i < 200; ++i) small.push_back(tcp("10.8.0.2", "192.0.2.9", i * 10, pattern(10)));
  const auto runs = coalesce(small);
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].segments, kMaxSegments);
}

TEST(Coalescer, InterleavedFlowsAndSessionsEachKeepTheirOwnRun) {
  const auto a = tcp_run(false, 4, kSegment, 443), b = tcp_run(false, 4, kSegment, 444), c = tcp_run(true, 4);
  Coalescer coalescer({true, true});
  for (size_t i = 0; i < 4; ++i) {
    for (const Bytes* packet : {&a[i], &b[i], &c[i]}) ASSERT_TRUE(coalescer.add({*packet, 0, 1}));
    ASSERT_TRUE(coalescer.add({a[i], 0, 2}));  // the same bytes of another session
  }
  const auto out = collect(coalescer);
  ASSERT_EQ(out.size(), 4u);
  for (const auto& result : out) EXPECT_EQ(result.segments, 4);
  EXPECT_EQ(out[3].session, 2u);
}

// Nothing of a flow may overtake what came before it in the same flow.
TEST(Coalescer, APacketThatCannotJoinIsNotOvertaken) {
  const auto run = tcp_run(false, 3);
  const Bytes ack = tcp("10.8.0.2", "192.0.2.9", 0xfffffe00u, {});
  auto out = coalesce({run[0], ack, run[1], run[2]});
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[1].bytes, ack);
  EXPECT_EQ(out[2].segments, 2);
  const Bytes piece = as_fragment_v4(run[2], 800, true);
  out = coalesce({run[0], piece, run[1]});
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[1].bytes, piece);
}

TEST(Coalescer, ASuperPacketPassesWholeAndKeepsItsPlace) {
  const auto run = tcp_run(false, 6);
  auto whole = coalesce({run[0], run[1], run[2]});
  ASSERT_EQ(whole.size(), 1u);
  Coalescer coalescer;
  ASSERT_TRUE(coalescer.add({whole[0].bytes, kSegment, 9}));
  for (size_t i = 3; i < 6; ++i) ASSERT_TRUE(coalescer.add({run[i], 0, 9}));
  const auto out = collect(coalescer);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].bytes, whole[0].bytes);
  EXPECT_EQ(out[0].segment_size, kSegment);
  EXPECT_EQ(out[0].segments, 3);
  EXPECT_EQ(out[0].info.csum_start, 20);
  EXPECT_EQ(out[1].segments, 3);
}

TEST(Coalescer, IsBoundedAndReusable) {
  const Bytes ping = icmp_packet("10.8.0.2", "192.0.2.9", 8, 0, pattern(8));
  Coalescer coalescer;
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < Coalescer::kMaxPackets; ++i) ASSERT_TRUE(coalescer.add({ping, 0, 1}));
    EXPECT_FALSE(coalescer.add({ping, 0, 1}));
    EXPECT_EQ(coalescer.flush().size(), Coalescer::kMaxPackets);
  }
  EXPECT_TRUE(coalescer.add({ping, 0, 1}));  // after flush() it begins anew
  EXPECT_EQ(coalescer.flush().size(), 1u);
}

// Oracle: whatever was put together, cutting gives the same packets, in the same order per flow.
TEST(Coalescer, RandomTrafficComesBackPacketByPacketInFlowOrder) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<Bytes> packets;
    uint32_t seq[3] = {1, 1u << 31, 0xffffff00u};
    for (int i = 0; i < 60; ++i) {
      const size_t flow = random() % 3;
      const size_t size = random() % 8 == 0 ? random() % 500 : 500;
      uint8_t flags = random() % 10 == 0 ? tcp_flag::kAck | tcp_flag::kPsh : tcp_flag::kAck;
      if (random() % 15 == 0) seq[flow] += 3;
      Bytes packet = tcp("fd00:8::2", "2001:db8::9", seq[flow], pattern(size, static_cast<uint8_t>(i)), flags,
                         static_cast<uint16_t>(440 + flow));
      seq[flow] += static_cast<uint32_t>(size);
      if (random() % 20 == 0) packet.back() ^= 1;
      packets.push_back(std::move(packet));
    }
    std::vector<Bytes> want[3], got[3];
    auto flow_of = [](const Bytes& p) { return static_cast<size_t>(load_be16(p.data() + 42) - 440); };
    for (const Bytes& packet : packets) want[flow_of(packet)].push_back(packet);
    for (const Gathered& result : coalesce(packets))
      for (const Bytes& packet : cut(result)) got[flow_of(packet)].push_back(packet);
    for (size_t flow = 0; flow < 3; ++flow) ASSERT_EQ(got[flow], want[flow]) << round;
  }
}

}  // namespace
}  // namespace smartvpn::inet
