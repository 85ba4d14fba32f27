#include "forward/host/packet_ring.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <thread>

namespace smartvpn::forward {
namespace {

TEST(PacketRing, AgreesWithADequeThroughManyWraps) {
  PacketRing ring(4096);
  std::deque<std::pair<PacketRing::Record, Bytes>> oracle;
  std::mt19937 random(3);
  size_t held = 0;
  for (int step = 0; step < 50000; ++step) {
    if (random() % 2 == 0) {
      Bytes bytes(random() % 700);
      for (auto& b : bytes) b = static_cast<uint8_t>(random());
      PacketRing::Record record{static_cast<uint32_t>(bytes.size()), static_cast<uint32_t>(random() % 1400), random()};
      size_t needed = sizeof record + bytes.size();
      bool fits = held + needed <= ring.capacity();
      ASSERT_EQ(ring.push(record, bytes), fits);
      ring.publish();
      if (!fits) continue;
      held += needed;
      oracle.emplace_back(record, std::move(bytes));
      continue;
    }
    PacketRing::Record record;
    ASSERT_EQ(ring.front(record), !oracle.empty());
    ASSERT_EQ(ring.empty(), oracle.empty());
    if (oracle.empty()) continue;
    ASSERT_EQ(record.length, oracle.front().first.length);
    ASSERT_EQ(record.segment_size, oracle.front().first.segment_size);
    ASSERT_EQ(record.session, oracle.front().first.session);
    Bytes out(record.length);
    ring.pop(record, out.data());
    ring.release();
    ASSERT_EQ(out, oracle.front().second);
    held -= sizeof record + record.length;
    oracle.pop_front();
  }
}

TEST(PacketRing, ShowsNothingBeforePublish) {
  PacketRing ring(4096);
  PacketRing::Record record{3, 0, 1};
  ASSERT_TRUE(ring.push(record, as_bytes("abc")));
  PacketRing::Record seen;
  EXPECT_FALSE(ring.front(seen));
  ring.publish();
  EXPECT_TRUE(ring.front(seen));
}

TEST(PacketRing, CarriesEveryPacketBetweenTwoThreadsInOrder) {
  PacketRing ring(8192);
  constexpr uint64_t kCount = 20000;
  std::thread producer([&] {
    for (uint64_t i = 0; i < kCount;) {
      Bytes bytes(8 + i % 90, static_cast<uint8_t>(i));
      bool fits = ring.push({static_cast<uint32_t>(bytes.size()), 0, i}, bytes);
      ring.publish();
      if (fits) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  Bytes out(200);
  for (uint64_t i = 0; i < kCount;) {
    PacketRing::Record record;
    if (!ring.front(record)) {
      std::this_thread::yield();
      continue;
    }
    ring.pop(record, out.data());
    ring.release();
    ASSERT_EQ(record.session, i);
    ASSERT_EQ(record.length, 8 + i % 90);
    ASSERT_EQ(out[record.length - 1], static_cast<uint8_t>(i));
    ++i;
  }
  producer.join();
}

}  // namespace
}  // namespace smartvpn::forward
