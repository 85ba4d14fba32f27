#include "forward/testing_engine.hpp"

#include <gtest/gtest.h>

#include "inet/inner_packet.hpp"
#include "support/engine_sink.hpp"
#include "support/inner_packets.hpp"

namespace smartvpn::forward {
namespace {

using testing::echo_request;
using testing::udp_packet;

struct TestingEngineTest : ::testing::Test {
  testing::RecordingSink sink;
  TestingEngine engine;
  void SetUp() override {
    EngineNetwork network;
    network.subnets = {*inet::Cidr::parse("10.8.0.0/24"), *inet::Cidr::parse("fd00:8::/64")};
    ASSERT_TRUE(engine.start(network, sink).ok());
  }
  void give(std::vector<Bytes> packets) {
    std::vector<PacketView> batch;
    for (auto& packet : packets) batch.push_back({packet, 0, 7});
    engine.write(batch);
  }
};

TEST_F(TestingEngineTest, AnswersPingsToAnyInnerAddressOfBothFamilies) {
  give({echo_request("10.8.0.2", "10.8.0.1"), echo_request("fd00:8::2", "fd00:8::77")});
  ASSERT_EQ(sink.packets.size(), 2u);
  inet::InnerPacket v4, v6;
  ASSERT_EQ(inet::classify(sink.packets[0].bytes(), v4), Drop::none);
  ASSERT_EQ(inet::classify(sink.packets[1].bytes(), v6), Drop::none);
  EXPECT_EQ(v4.src.text() + ">" + v4.dst.text(), "10.8.0.1>10.8.0.2");
  EXPECT_EQ(v6.src.text() + ">" + v6.dst.text(), "fd00:8::77>fd00:8::2");
  EXPECT_EQ(v4.icmp_type, 0);
  EXPECT_EQ(v6.icmp_type, 129);
  EXPECT_TRUE(inet::transport_checksum_ok(sink.packets[0].bytes(), 20, inet::ip_protocol::kIcmp));
  EXPECT_TRUE(inet::transport_checksum_ok(sink.packets[1].bytes(), 40, inet::ip_protocol::kIcmpV6));
  EXPECT_EQ(sink.packets[0].headroom(), PacketPool::kHeadroom) << "the carrier needs the room";
  EXPECT_TRUE(sink.drops.empty());
}

TEST_F(TestingEngineTest, CountsEverythingElseAsIgnored) {
  Bytes damaged = echo_request("10.8.0.2", "10.8.0.1");
  damaged.back() ^= 1;
  give({udp_packet("10.8.0.2", "10.8.0.1", "x"), echo_request("10.8.0.2", "192.0.2.1"), damaged, Bytes{1, 2, 3}});
  EXPECT_TRUE(sink.packets.empty());
  EXPECT_EQ(sink.drops[Drop::engine_ignored], 4u);
}

// A reply above a session's MTU makes the sink write to the engine while it is being given the replies.
TEST_F(TestingEngineTest, MayBeWrittenToWhileItDelivers) {
  struct Answering : testing::RecordingSink {
    TestingEngine* engine = nullptr;
    int deliveries = 0;
    void on_engine_packets(std::span<Packet> batch) override {
      ASSERT_LT(++deliveries, 10);
      for (Packet& packet : batch) {
        Bytes noise = udp_packet("10.8.0.1", "10.8.0.2", "too big"), ping = echo_request("10.8.0.3", "10.8.0.1");
        PacketView views[] = {{noise, 0, 0}, {ping, 0, 0}};
        if (deliveries == 1) engine->write(views);
        packets.push_back(std::move(packet));
      }
    }
  } answering;
  TestingEngine fresh;
  answering.engine = &fresh;
  EngineNetwork network;
  network.subnets = {*inet::Cidr::parse("10.8.0.0/24")};
  ASSERT_TRUE(fresh.start(network, answering).ok());
  Bytes first = echo_request("10.8.0.2", "10.8.0.1"), second = echo_request("10.8.0.4", "10.8.0.1");
  PacketView views[] = {{first, 0, 1}, {second, 0, 1}};
  fresh.write(views);
  std::string to;
  for (const Packet& packet : answering.packets) to += std::to_string(packet.bytes()[19]) + " ";
  EXPECT_EQ(to, "3 2 4 ");
}

TEST_F(TestingEngineTest, IsSilentAfterStop) {
  engine.stop();
  give({echo_request("10.8.0.2", "10.8.0.1")});
  EXPECT_TRUE(sink.packets.empty());
  EXPECT_TRUE(sink.drops.empty());
}

}  // namespace
}  // namespace smartvpn::forward
