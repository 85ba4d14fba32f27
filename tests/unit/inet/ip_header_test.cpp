#include "inet/ip_header.hpp"

#include <gtest/gtest.h>

#include "support/inet_packets.hpp"

namespace smartvpn::inet {
namespace {

using namespace smartvpn::test;

// The worked example of the Wikipedia article on the IPv4 header checksum: 0xb861.
TEST(IpHeader, Ipv4BytesAndChecksum) {
  Ipv4Header header;
  header.src = ip("192.168.0.1");
  header.dst = ip("192.168.0.199");
  header.protocol = ip_protocol::kUdp;
  Bytes out(20);
  write_ipv4_header(out.data(), header, 95);
  EXPECT_EQ(to_hex(out),
            "4500007300004000"
            "4011b861"
            "c0a80001c0a800c7");
}

TEST(IpHeader, Ipv6Bytes) {
  Ipv6Header header;
  header.src = ip("2001:db8::1");
  header.dst = ip("2001:db8::2");
  header.next_header = 58;
  header.traffic_class = 0xb8;
  header.flow_label = 0x12345;
  Bytes out(40);
  write_ipv6_header(out.data(), header, 16);
  EXPECT_EQ(to_hex(out),
            "6b81234500103a40"
            "20010db8000000000000000000000001"
            "20010db8000000000000000000000002");
}

// An echo request over IPv6: the checksum was worked out by hand over pseudo-header and message.
TEST(IpHeader, IcmpV6ChecksumCoversThePseudoHeader) {
  const Bytes packet = icmp_packet("::2", "::3", 128, 0, {});
  // 2 + 3 + length 8 + protocol 58 + type/code 0x8000 = 0x8047.
  EXPECT_EQ(load_be16(packet.data() + 42), static_cast<uint16_t>(~0x8047));
}

TEST(IpHeader, TransportChecksumsVerifyAndAnyFlippedBitBreaksThem) {
  const Bytes packets[] = {udp_packet("10.8.0.2", 1, "192.0.2.1", 2, pattern(33)),
                           udp_packet("fd00::2", 1, "2001:db8::1", 2, pattern(33)),
                           tcp_packet("10.8.0.2", "192.0.2.1", {}, pattern(33)),
                           tcp_packet("fd00::2", "2001:db8::1", {}, pattern(33)),
                           icmp_packet("10.8.0.2", "192.0.2.1", 8, 0, pattern(33)),
                           icmp_packet("fd00::2", "2001:db8::1", 128, 0, pattern(33))};
  for (const Bytes& packet : packets) {
    const size_t transport = ip_header_size(packet);
    const uint8_t protocol = transport == 40 ? packet[6] : packet[9];
    ASSERT_TRUE(transport_checksum_ok(packet, transport, protocol));
    for (size_t bit = transport * 8; bit < packet.size() * 8; ++bit) {
      Bytes bad = packet;
      bad[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
      ASSERT_FALSE(transport_checksum_ok(bad, transport, protocol)) << bit;
    }
  }
}

TEST(IpHeader, UdpChecksumOfZeroIsSentAsOnesAndNeverCountsAsRight) {
  // Find data whose sum makes the checksum come out zero.
  Bytes packet = udp_packet("10.8.0.2", 1, "192.0.2.1", 2, Bytes(2));
  store_be16(packet.data() + 28, load_be16(packet.data() + 26));
  ASSERT_TRUE(write_transport_checksum(packet, 20, ip_protocol::kUdp));
  EXPECT_EQ(load_be16(packet.data() + 26), 0xffff);
  EXPECT_TRUE(transport_checksum_ok(packet, 20, ip_protocol::kUdp));
  store_be16(packet.data() + 26, 0);
  EXPECT_FALSE(transport_checksum_ok(packet, 20, ip_protocol::kUdp));
}

TEST(IpHeader, ChecksumNeedsRoomForItsField) {
  Bytes packet = ip_packet("10.8.0.2", "192.0.2.1", ip_protocol::kTcp, Bytes(17));
  EXPECT_FALSE(write_transport_checksum(packet, 20, ip_protocol::kTcp));
  EXPECT_FALSE(transport_checksum_ok(packet, 20, ip_protocol::kTcp));
  EXPECT_FALSE(transport_checksum_ok(packet, 60, ip_protocol::kTcp));
  EXPECT_FALSE(write_transport_checksum(packet, 20, ip_protocol::kGre));
}

}  // namespace
}  // namespace smartvpn::inet
