#include "inet/icmp.hpp"

#include <gtest/gtest.h>

#include "support/inet_packets.hpp"

namespace smartvpn::inet {
namespace {

using namespace smartvpn::test;

InnerPacket classified(const Bytes& packet) {
  InnerPacket out;
  EXPECT_EQ(classify(packet, out), Drop::none);
  return out;
}

bool reply_to(Bytes& packet) { return echo_reply_in_place(packet, classified(packet)); }

TEST(Icmp, EchoReplyInBothFamilies) {
  for (bool v6 : {false, true}) {
    Bytes packet = icmp_packet(v6 ? "fd00::2" : "10.8.0.2", v6 ? "fd00::1" : "10.8.0.1", v6 ? 128 : 8, 0, pattern(56));
    packet[v6 ? 7 : 8] = 3;
    if (!v6) refresh_ipv4_checksum(packet.data(), 20);
    const Bytes request = packet;
    ASSERT_TRUE(reply_to(packet));
    const InnerPacket info = classified(packet);
    EXPECT_EQ(info.src, ip(v6 ? "fd00::1" : "10.8.0.1"));
    EXPECT_EQ(info.dst, ip(v6 ? "fd00::2" : "10.8.0.2"));
    EXPECT_EQ(info.icmp_type, v6 ? 129 : 0);
    EXPECT_EQ(info.hop_limit, 64);
    EXPECT_TRUE(transport_checksum_ok(packet, info.transport_offset, info.protocol));
    EXPECT_TRUE(std::equal(packet.begin() + info.transport_offset + 4, packet.end(),
                           request.begin() + info.transport_offset + 4));
  }
}

TEST(Icmp, OnlyHonestUnicastRequestsAreAnswered) {
  Bytes wrong = icmp_packet("10.8.0.2", "10.8.0.1", 8, 0, pattern(8));
  wrong.back() ^= 1;
  const Bytes others[] = {
      wrong,
      icmp_packet("10.8.0.2", "10.8.0.1", 0, 0, pattern(8)),
      icmp_packet("10.8.0.2", "10.8.0.1", 8, 1, pattern(8)),
      icmp_packet("10.8.0.2", "224.0.0.1", 8, 0, pattern(8)),
      icmp_packet("10.8.0.2", "255.255.255.255", 8, 0, pattern(8)),
      as_fragment_v4(icmp_packet("10.8.0.2", "10.8.0.1", 8, 0, pattern(8)), 0, true),
      icmp_packet("fd00::2", "ff02::1", 128, 0, pattern(8)),
      icmp_packet("::", "fd00::1", 128, 0, pattern(8)),
      udp_packet("10.8.0.2", 1, "10.8.0.1", 2, pattern(8)),
  };
  for (Bytes packet : others) {
    const Bytes before = packet;
    EXPECT_FALSE(reply_to(packet)) << to_hex(packet);
    EXPECT_EQ(packet, before);
  }
}

Bytes too_big(const Bytes& packet, uint16_t mtu, const char* gateway) {
  Bytes out(kMaxIcmpError);
  out.resize(write_too_big(packet, classified(packet), mtu, ip(gateway), out));
  return out;
}

TEST(Icmp, TooBigQuotesThePacketAndNamesTheMtu) {
  for (bool v6 : {false, true}) {
    const Bytes packet = v6 ? tcp_packet("2001:db8::9", "fd00::2", {}, pattern(3000))
                            : tcp_packet("192.0.2.9", "10.8.0.2", {}, pattern(3000));
    const Bytes out = too_big(packet, 1380, v6 ? "fd00::1" : "10.8.0.1");
    ASSERT_EQ(out.size(), v6 ? 1280u : 576u);
    const InnerPacket info = classified(out);
    EXPECT_EQ(info.src, ip(v6 ? "fd00::1" : "10.8.0.1"));
    EXPECT_EQ(info.dst, ip(v6 ? "2001:db8::9" : "192.0.2.9"));
    EXPECT_EQ(info.icmp_type, v6 ? 2 : 3);
    EXPECT_EQ(info.icmp_code, v6 ? 0 : 4);
    EXPECT_EQ(load_be32(out.data() + info.transport_offset + 4), 1380u);
    ASSERT_TRUE(info.has_quote);
    EXPECT_EQ(info.quoted.dst, ip(v6 ? "fd00::2" : "10.8.0.2"));
    EXPECT_TRUE(transport_checksum_ok(out, info.transport_offset, info.protocol));
    EXPECT_TRUE(std::equal(out.begin() + info.payload_offset, out.end(), packet.begin()));
  }
}

TEST(Icmp, NoErrorAboutErrorsFragmentsAndGroups) {
  const Bytes quoted = udp_packet("192.0.2.9", 1, "10.8.0.2", 2, pattern(8));
  EXPECT_TRUE(too_big(icmp_packet("10.8.0.2", "192.0.2.9", 3, 1, quoted), 1280, "10.8.0.1").empty());
  EXPECT_TRUE(too_big(as_fragment_v4(quoted, 800, false), 1280, "10.8.0.1").empty());
  EXPECT_TRUE(too_big(udp_packet("192.0.2.9", 1, "224.0.0.9", 2, {}), 1280, "10.8.0.1").empty());
  EXPECT_TRUE(too_big(udp_packet("::", 1, "2001:db8::9", 2, {}), 1280, "fd00::1").empty());
  EXPECT_TRUE(too_big(udp_packet("0.0.0.0", 1, "192.0.2.9", 2, {}), 1280, "10.8.0.1").empty());
  EXPECT_TRUE(too_big(quoted, 1280, "fd00::1").empty());
  EXPECT_FALSE(too_big(quoted, 1280, "10.8.0.1").empty());
}

TEST(IcmpLimiter, BurstThenRate) {
  IcmpLimiter limiter(10, 5);
  Time now = Time{} + seconds(50);
  int passed = 0;
  for (int i = 0; i < 20; ++i) passed += limiter.allow(now);
  EXPECT_EQ(passed, 5);
  for (int i = 0; i < 100; ++i) passed += limiter.allow(now += milliseconds(10));
  EXPECT_EQ(passed, 15);
  now += seconds(60);
  passed = 0;
  for (int i = 0; i < 20; ++i) passed += limiter.allow(now);
  EXPECT_EQ(passed, 5);
}

}  // namespace
}  // namespace smartvpn::inet
