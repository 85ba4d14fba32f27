// is_same_flow() against classify(), which it stands in for: whenever it says yes, classify() must accept the packet
// and say the same about it.
#include "inet/same_flow.hpp"

#include <gtest/gtest.h>

#include <random>

#include "support/inet_packets.hpp"

namespace smartvpn::inet {
namespace {

using namespace smartvpn::test;

Bytes bulk_tcp4(size_t size = 100, uint32_t seq = 1) {
  return tcp_packet("10.8.0.2", "192.0.2.9", {.src_port = 1000, .dst_port = 443, .seq = seq}, pattern(size));
}
Bytes bulk_tcp6(size_t size = 100) {
  return tcp_packet("fd00:8::2", "2001:db8::9", {.src_port = 1000, .dst_port = 443}, pattern(size));
}
Bytes bulk_udp4(size_t size = 64) { return udp_packet("10.8.0.2", 1000, "192.0.2.9", 53, pattern(size)); }
Bytes bulk_udp6(size_t size = 64) { return udp_packet("fd00:8::2", 1000, "2001:db8::9", 53, pattern(size)); }

bool same(const Bytes& before, const Bytes& packet) {
  InnerPacket info;
  return classify(before, info) == Drop::none && is_same_flow(before, packet, info);
}

void expect_equal(const InnerPacket& a, const InnerPacket& b) {
  EXPECT_EQ(a.version, b.version);
  EXPECT_EQ(a.protocol, b.protocol);
  EXPECT_EQ(a.hop_limit, b.hop_limit);
  EXPECT_EQ(a.extension_headers, b.extension_headers);
  EXPECT_EQ(a.has_ip_options, b.has_ip_options);
  EXPECT_EQ(a.dont_fragment, b.dont_fragment);
  EXPECT_EQ(a.fragment, b.fragment);
  EXPECT_EQ(a.has_ports, b.has_ports);
  EXPECT_EQ(a.multicast, b.multicast);
  EXPECT_EQ(a.limited_broadcast, b.limited_broadcast);
  EXPECT_EQ(a.tcp_flags, b.tcp_flags);
  EXPECT_EQ(a.src_port, b.src_port);
  EXPECT_EQ(a.dst_port, b.dst_port);
  EXPECT_EQ(a.transport_offset, b.transport_offset);
  EXPECT_EQ(a.payload_offset, b.payload_offset);
  EXPECT_EQ(a.total_length, b.total_length);
  EXPECT_EQ(a.src, b.src);
  EXPECT_EQ(a.dst, b.dst);
}

TEST(SameFlow, TakesTheNextPacketOfATransfer) {
  EXPECT_TRUE(same(bulk_tcp4(100), bulk_tcp4(1360, 101)));
  EXPECT_TRUE(same(bulk_tcp6(100), bulk_tcp6(20)));
  EXPECT_TRUE(same(bulk_udp4(), bulk_udp4(1372)));
  EXPECT_TRUE(same(bulk_udp6(), bulk_udp6(0)));
}

TEST(SameFlow, RefusesAnotherPortAddressOrProtocol) {
  for (const Bytes& first : {bulk_tcp4(), bulk_tcp6(), bulk_udp4(), bulk_udp6()})
    for (const Bytes& second : {bulk_tcp4(), bulk_tcp6(), bulk_udp4(), bulk_udp6()})
      EXPECT_EQ(same(first, second), first == second);
  EXPECT_FALSE(same(bulk_udp4(), udp_packet("10.8.0.2", 1000, "192.0.2.9", 54, pattern(64))));
  EXPECT_FALSE(same(bulk_udp4(), udp_packet("10.8.0.2", 1001, "192.0.2.9", 53, pattern(64))));
  EXPECT_FALSE(same(bulk_udp4(), udp_packet("10.8.0.3", 1000, "192.0.2.9", 53, pattern(64))));
  EXPECT_FALSE(same(bulk_udp6(), udp_packet("fd00:8::2", 1000, "2001:db8::a", 53, pattern(64))));
}

TEST(SameFlow, RefusesAPacketThatBeginsAConnection) {
  const Bytes syn = tcp_packet("10.8.0.2", "192.0.2.9",
                               {.src_port = 1000, .dst_port = 443, .flags = tcp_flag::kSyn | tcp_flag::kAck}, {});
  EXPECT_FALSE(same(bulk_tcp4(), syn));
  EXPECT_TRUE(same(syn, bulk_tcp4()));
}

TEST(SameFlow, RefusesFragmentsAndWrongChecksums) {
  Bytes piece = bulk_udp4();
  piece[6] = 0x20;
  refresh_ipv4_checksum(piece.data(), kIpv4HeaderSize);
  EXPECT_FALSE(same(bulk_udp4(), piece));
  Bytes wrong = bulk_udp4();
  wrong[10] ^= 1;
  EXPECT_FALSE(same(bulk_udp4(), wrong));
}

// Every byte of the headers changed in every bit, cut at every length, after each kind of packet.
TEST(SameFlow, SaysWhatClassifySaysWhateverIsChanged) {
  size_t agreed = 0;
  for (const Bytes& before : {bulk_tcp4(), bulk_tcp6(), bulk_udp4(), bulk_udp6()}) {
    InnerPacket of_before;
    ASSERT_EQ(classify(before, of_before), Drop::none);
    auto check = [&](const Bytes& packet) {
      InnerPacket info = of_before, expected;
      if (!is_same_flow(before, packet, info)) return;
      ++agreed;
      ASSERT_EQ(classify(packet, expected), Drop::none) << to_hex(packet);
      expect_equal(info, expected);
      ASSERT_EQ(info.src, of_before.src);
      ASSERT_EQ(info.dst, of_before.dst);
    };
    for (size_t byte = 0; byte < 64; ++byte)
      for (unsigned value = 0; value < 256; ++value)
        for (bool mend : {false, true}) {
          Bytes packet = before;
          packet[byte] = static_cast<uint8_t>(value);
          if (mend && packet[0] == 0x45) refresh_ipv4_checksum(packet.data(), kIpv4HeaderSize);
          check(packet);
        }
    for (size_t size = 0; size < before.size(); ++size)
      check(Bytes(before.begin(), before.begin() + static_cast<ptrdiff_t>(size)));
  }
  EXPECT_GT(agreed, 1000u);  // it was not always no
}

TEST(SameFlow, SaysWhatClassifySaysOfRandomPairs) {
  std::mt19937 random(7);
  const std::vector<Bytes> kinds = {bulk_tcp4(), bulk_tcp4(1), bulk_udp4(), bulk_udp4(0), bulk_tcp6(), bulk_udp6(3)};
  size_t agreed = 0;
  for (int round = 0; round < 60000; ++round) {
    Bytes before = kinds[random() % kinds.size()], packet = kinds[random() % kinds.size()];
    for (unsigned edits = random() % 4; edits > 0; --edits) {
      Bytes& victim = random() % 2 ? before : packet;
      victim[random() % std::min<size_t>(victim.size(), 60)] = static_cast<uint8_t>(random());
    }
    for (Bytes* each : {&before, &packet})
      if ((*each)[0] == 0x45) refresh_ipv4_checksum(each->data(), kIpv4HeaderSize);
    InnerPacket info, expected;
    if (classify(before, info) != Drop::none || !is_same_flow(before, packet, info)) continue;
    ++agreed;
    ASSERT_EQ(classify(packet, expected), Drop::none) << to_hex(before) << " " << to_hex(packet);
    expect_equal(info, expected);
  }
  EXPECT_GT(agreed, 1000u);
}

}  // namespace
}  // namespace smartvpn::inet
