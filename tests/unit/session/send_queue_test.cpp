// The waiting room for inner packets: order, fairness, delay and bounds.
#include "session/send_queue.hpp"

#include <gtest/gtest.h>

#include <map>

namespace smartvpn::session {
namespace {

const Time kStart = Time(seconds(100));

class SendQueueTest : public ::testing::Test {
 protected:
  // An IPv4 UDP packet of the flow that `port` names.
  Packet packet(uint16_t port, size_t size = 1000, uint8_t mark = 0) {
    Packet p = pool.take(size);
    std::fill(p.bytes().begin(), p.bytes().end(), uint8_t{0});
    uint8_t* b = p.bytes().data();
    b[0] = 0x45;
    b[9] = 17;
    store_be32(b + 12, 0x0a080002);
    store_be32(b + 16, 0x0a080003);
    store_be16(b + 20, port);
    store_be16(b + 22, 53);
    b[24] = mark;
    return p;
  }
  static uint16_t port(const Packet& p) { return load_be16(p.bytes().data() + 20); }
  // Two ports that do not share a flow queue.
  std::pair<uint16_t, uint16_t> two_flows() {
    for (uint16_t b = 2;; ++b)
      if (flow_hash(packet(1).bytes(), 9) % SendQueue::kFlows != flow_hash(packet(b).bytes(), 9) % SendQueue::kFlows)
        return {1, b};
  }
  PacketPool pool;
  SendQueue queue{9};
  uint64_t dropped = 0;
};

TEST_F(SendQueueTest, KeepsTheOrderOfAFlow) {
  for (uint8_t i = 0; i < 100; ++i) EXPECT_EQ(queue.push(packet(7, 100, i), kStart), 0u);
  for (uint8_t i = 0; i < 100; ++i) EXPECT_EQ(queue.pop(kStart, &dropped).bytes()[24], i);
  EXPECT_FALSE(queue.pop(kStart, &dropped));
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(dropped, 0u);
}

TEST_F(SendQueueTest, SmallFlowOvertakesABulkyOne) {
  auto [bulk, small] = two_flows();
  for (int i = 0; i < 100; ++i) queue.push(packet(bulk, 1400), kStart);
  for (int i = 0; i < 10; ++i) queue.pop(kStart, &dropped);
  queue.push(packet(small, 60), kStart);
  int position = 0;
  while (port(queue.pop(kStart, &dropped)) != small) ++position;
  EXPECT_LE(position, 2);
}

TEST_F(SendQueueTest, BulkFlowsShareByBytes) {
  auto [a, b] = two_flows();
  for (int i = 0; i < 50; ++i) {
    queue.push(packet(a, 1400), kStart);
    queue.push(packet(b, 700), kStart);
    queue.push(packet(b, 700), kStart);
  }
  size_t bytes_a = 0, bytes_b = 0;
  for (int i = 0; i < 60; ++i) {
    Packet p = queue.pop(kStart, &dropped);
    (port(p) == a ? bytes_a : bytes_b) += p.size();
  }
  EXPECT_LT(std::max(bytes_a, bytes_b) - std::min(bytes_a, bytes_b), 5000u);
}

TEST_F(SendQueueTest, NeverHoldsMoreThanItsLimitAndDropsTheLongestFlow) {
  auto [bulk, small] = two_flows();
  queue.push(packet(small, 100), kStart);
  uint64_t lost = 0;
  for (int i = 0; i < 2000; ++i) {
    lost += queue.push(packet(bulk, 1400), kStart);
    ASSERT_LE(queue.bytes(), SendQueue::kMaxBytes);
  }
  EXPECT_EQ(lost + queue.packets(), 2001u);
  EXPECT_LE(pool.bytes_in_use(), SendQueue::kMaxBytes);
  bool small_survived = false;
  while (Packet p = queue.pop(kStart, &dropped)) small_survived |= port(p) == small;
  EXPECT_TRUE(small_survived);
}

TEST_F(SendQueueTest, CountsTheSegmentsOfSuperPackets) {
  uint64_t lost = 0;
  for (int i = 0; i < 20; ++i) {
    Packet p = packet(1, 60000);
    p.segment_size = 1400;
    p.segments = 43;
    lost += queue.push(std::move(p), kStart);
  }
  EXPECT_EQ(lost, 43u * (20 - queue.packets()));
  EXPECT_EQ(queue.packets(), 8u);
  EXPECT_EQ(queue.clear(), 8u * 43u);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST_F(SendQueueTest, StandingQueueIsThinnedButAShortBurstIsNot) {
  // A burst that is gone within the interval loses nothing.
  for (int i = 0; i < 100; ++i) queue.push(packet(1), kStart);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(queue.pop(kStart + milliseconds(i / 2), &dropped));
  EXPECT_EQ(dropped, 0u);
  // In at one a millisecond, out at half of that: drops come, and the delay stays bounded.
  Time now = kStart + seconds(1);
  for (int i = 0; i < 5000; ++i) {
    now += milliseconds(1);
    queue.push(packet(1), now);
    if (i % 2) queue.pop(now, &dropped);
  }
  EXPECT_GT(dropped, 100u);
}

TEST_F(SendQueueTest, LastPacketOfAFlowIsNeverDropped) {
  for (int i = 0; i < 50; ++i) {
    queue.push(packet(1), kStart + seconds(i));
    EXPECT_TRUE(queue.pop(kStart + seconds(i) + milliseconds(900), &dropped));
  }
  EXPECT_EQ(dropped, 0u);
}

TEST_F(SendQueueTest, WorksAgainAfterItsMemoryWasReturned) {
  queue.push(packet(1), kStart);
  queue.release_if_empty();
  EXPECT_EQ(queue.packets(), 1u);
  EXPECT_TRUE(queue.pop(kStart, &dropped));
  queue.release_if_empty();
  EXPECT_FALSE(queue.pop(kStart, &dropped));
  queue.push(packet(2), kStart);
  EXPECT_TRUE(queue.pop(kStart, &dropped));
}

TEST_F(SendQueueTest, OddPacketsAreTakenToo) {
  for (size_t size : {1u, 3u, 19u, 20u, 21u, 39u}) {
    for (uint8_t first : {0x00, 0x45, 0x4f, 0x60, 0xff}) {
      Packet p = pool.take(size);
      std::fill(p.bytes().begin(), p.bytes().end(), first);
      queue.push(std::move(p), kStart);
    }
  }
  size_t n = 0;
  while (queue.pop(kStart, &dropped)) ++n;
  EXPECT_EQ(n, 30u);
}

TEST(FlowHash, SeparatesFlowsAndKeepsThemTogether) {
  Bytes v6(48, 0);
  v6[0] = 0x60;
  v6[6] = 6;
  v6[41] = 80;
  Bytes other_port = v6, later = v6;
  other_port[41] = 81;
  later[47] = 9;
  EXPECT_EQ(flow_hash(v6, 1), flow_hash(later, 1));
  EXPECT_NE(flow_hash(v6, 1), flow_hash(other_port, 1));
  EXPECT_NE(flow_hash(v6, 1), flow_hash(v6, 2));
}

// Lets `budget` bytes go until it is told otherwise.
struct TestGate final : SendGate {
  bool open(Time) const noexcept override { return budget > 0; }
  void passed(size_t bytes, Time) noexcept override { budget -= static_cast<int64_t>(bytes); }
  Time opens_at() const noexcept override { return at; }
  int64_t budget = 0;
  Time at = kStart + seconds(1);
};

TEST_F(SendQueueTest, AGateLetsGoWhatItAllowsAndSaysWhenToComeBack) {
  TestGate gate;
  gate.budget = 1500;
  queue.set_gate(&gate);
  for (int i = 0; i < 3; ++i) queue.push(packet(1), kStart);
  EXPECT_TRUE(queue.ready(kStart));
  EXPECT_EQ(queue.next_release(), kNever);
  EXPECT_TRUE(queue.pop(kStart, &dropped));
  EXPECT_TRUE(queue.pop(kStart, &dropped));
  EXPECT_FALSE(queue.ready(kStart));
  EXPECT_FALSE(queue.pop(kStart, &dropped));
  EXPECT_EQ(queue.next_release(), gate.at);
  EXPECT_FALSE(queue.empty());
  gate.budget = 1000;
  // Whoever waits for the socket now is not woken by the gate again and again.
  queue.look_at_gate(kStart);
  EXPECT_EQ(queue.next_release(), kNever);
  EXPECT_TRUE(queue.pop(kStart, &dropped));
  EXPECT_TRUE(queue.empty());
}

TEST_F(SendQueueTest, WhatALimitMadeWaitIsDroppedForTheLimit) {
  TestGate gate;
  queue.set_gate(&gate);
  queue.push(packet(1), kStart);
  EXPECT_EQ(queue.drop_name(), Drop::queue_full);
  EXPECT_FALSE(queue.pop(kStart, &dropped));
  EXPECT_EQ(queue.drop_name(), Drop::rate_limit);
  gate.budget = 1000;
  EXPECT_TRUE(queue.pop(kStart, &dropped));
  EXPECT_EQ(queue.drop_name(), Drop::queue_full);
}

TEST_F(SendQueueTest, WithoutItsGateEverythingGoes) {
  TestGate gate;
  queue.set_gate(&gate);
  queue.push(packet(1), kStart);
  EXPECT_FALSE(queue.pop(kStart, &dropped));
  queue.set_gate(nullptr);
  EXPECT_EQ(queue.next_release(), kNever);
  EXPECT_TRUE(queue.pop(kStart, &dropped));
}

TEST_F(SendQueueTest, TakesNoMoreMemoryThanTheRoomItIsGiven) {
  uint64_t lost = 0;
  for (int i = 0; i < 100; ++i) {
    lost += queue.push(packet(1, 3000), kStart, 300000);  // in large blocks
    ASSERT_LE(queue.memory(), 300000u);
    ASSERT_EQ(queue.memory(), pool.bytes_in_use());
  }
  EXPECT_EQ(lost + queue.packets(), 100u);
  EXPECT_EQ(queue.trim(70000), 3u);
  EXPECT_EQ(queue.packets(), 1u);
  EXPECT_LE(queue.memory(), 70000u);
  EXPECT_EQ(queue.trim(0), 1u);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.memory(), 0u);
}

TEST_F(SendQueueTest, SiftingLeavesWhatMayStayInItsOrder) {
  for (uint8_t keep_from : {0, 1, 2}) {  // of three marks, which sit at the heads, in the middle and at the tails
    auto [a, b] = two_flows();
    const size_t before = pool.bytes_in_use();
    for (uint8_t i = 0; i < 9; ++i) {
      queue.push(packet(a, 100, i), kStart);
      queue.push(packet(b, 100, i), kStart);
    }
    queue.sift([&](const Packet& p) { return p.bytes()[24] / 3 == keep_from; });
    EXPECT_EQ(queue.packets(), 6u);
    queue.push(packet(a, 100, 77), kStart);  // the tail is where it should be
    std::map<uint16_t, std::vector<int>> came;
    while (Packet p = queue.pop(kStart, &dropped)) came[port(p)].push_back(p.bytes()[24]);
    std::vector<int> kept = {keep_from * 3, keep_from * 3 + 1, keep_from * 3 + 2};
    EXPECT_EQ(came[b], kept);
    kept.push_back(77);
    EXPECT_EQ(came[a], kept);
    EXPECT_EQ(queue.bytes(), 0u);
    EXPECT_EQ(queue.memory(), 0u);
    EXPECT_EQ(pool.bytes_in_use(), before);
  }
  queue.push(packet(1), kStart);
  queue.sift([](const Packet&) { return false; });
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.pop(kStart, &dropped));
  queue.push(packet(1, 100, 5), kStart);
  EXPECT_EQ(queue.pop(kStart, &dropped).bytes()[24], 5);
}

}  // namespace
}  // namespace smartvpn::session
