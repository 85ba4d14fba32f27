#include "inet/mss.hpp"

#include <gtest/gtest.h>

#include "support/inet_packets.hpp"

namespace smartvpn::inet {
namespace {

using namespace smartvpn::test;

Bytes syn(bool v6, ByteView options, uint8_t flags = tcp_flag::kSyn) {
  TcpHeader header;
  header.flags = flags;
  return tcp_packet(v6 ? "fd00::2" : "10.8.0.2", v6 ? "2001:db8::9" : "192.0.2.9", header, {}, options);
}

bool clamp(Bytes& packet, uint16_t mtu) {
  InnerPacket info;
  EXPECT_EQ(classify(packet, info), Drop::none);
  const bool changed = clamp_mss(packet, info, mtu);
  EXPECT_TRUE(transport_checksum_ok(packet, info.transport_offset, ip_protocol::kTcp));
  return changed;
}

uint16_t mss_of(const Bytes& packet, size_t option) {
  return load_be16(packet.data() + ip_header_size(packet) + 20 + option + 2);
}

TEST(Mss, LowersToWhatTheTunnelCarries) {
  for (uint8_t flags : {tcp_flag::kSyn, static_cast<uint8_t>(tcp_flag::kSyn | tcp_flag::kAck)}) {
    Bytes v4 = syn(false, Bytes{2, 4, 0x05, 0xb4}, flags), v6 = syn(true, Bytes{2, 4, 0x05, 0xa0}, flags);
    EXPECT_TRUE(clamp(v4, 1420));
    EXPECT_EQ(mss_of(v4, 0), 1380);
    EXPECT_TRUE(clamp(v6, 1420));
    EXPECT_EQ(mss_of(v6, 0), 1360);
    EXPECT_FALSE(clamp(v4, 1420));
  }
}

TEST(Mss, NeverRaises) {
  Bytes packet = syn(false, Bytes{2, 4, 0x02, 0x18});
  EXPECT_FALSE(clamp(packet, 1420));
  EXPECT_EQ(mss_of(packet, 0), 536);
}

TEST(Mss, KeepsTheChecksumRightAtAnOddOffset) {
  Bytes packet = syn(false, Bytes{1, 2, 4, 0x05, 0xb4, 1, 1, 1});
  EXPECT_TRUE(clamp(packet, 1400));
  EXPECT_EQ(mss_of(packet, 1), 1360);
}

TEST(Mss, LeavesEverythingElseAlone) {
  for (const Bytes& options : {Bytes{}, Bytes{1, 1, 1, 0}, Bytes{0, 2, 4, 0xff}, Bytes{3, 3, 7, 2},
                               Bytes{2, 3, 0xff, 0}, Bytes{2, 9, 0xff, 0xff}, Bytes{5, 1, 2, 4}, Bytes{1, 1, 1, 2}}) {
    Bytes packet = syn(false, options);
    const Bytes before = packet;
    EXPECT_FALSE(clamp(packet, 1280)) << to_hex(options);
    EXPECT_EQ(packet, before);
  }
  Bytes ack = syn(false, Bytes{2, 4, 0x05, 0xb4}, tcp_flag::kAck);
  EXPECT_FALSE(clamp(ack, 1280));
}

}  // namespace
}  // namespace smartvpn::inet
