#include "forward/host/host_engine.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <cstring>
#include <thread>

#include "support/engine_sink.hpp"
#include "support/inner_packets.hpp"
#include "support/loop_runner.hpp"

namespace smartvpn::forward {
namespace {

using testing::make_loop;
using testing::run_until;

struct HostEngineTest : ::testing::Test {
  std::unique_ptr<net::Loop> loop = make_loop();
  testing::RecordingSink sink;
  std::unique_ptr<HostEngine> engine;
  std::shared_ptr<HostChannel> channel;
  Bytes arena = Bytes(1 << 20);
  std::vector<HostPacket> meta = std::vector<HostPacket>(64);

  void SetUp() override { make({}); }
  void make(const HostEngineOptions& options) {
    engine = std::make_unique<HostEngine>(*loop, options);
    channel = engine->channel();
    ASSERT_TRUE(engine->start({}, sink).ok());
  }
  void give(const std::vector<Bytes>& packets, uint64_t session = 7) {
    std::vector<PacketView> batch;
    for (auto& packet : packets) batch.push_back({packet, 0, session});
    engine->write(batch);
  }
  bool readable() {
    pollfd item{channel->fd(), POLLIN, 0};
    return poll(&item, 1, 0) == 1;
  }
};

TEST_F(HostEngineTest, HandsPacketsToTheHostInOneFlatBatch) {
  EXPECT_FALSE(readable());
  give({Bytes(100, 'a'), Bytes(200, 'b')});
  EXPECT_TRUE(readable());
  auto count = channel->read(arena, meta, 0);
  ASSERT_TRUE(count.ok());
  ASSERT_EQ(*count, 2u);
  EXPECT_EQ(meta[1].offset, 100u);
  EXPECT_EQ(meta[1].length, 200u);
  EXPECT_EQ(meta[1].session_id, 7u);
  EXPECT_EQ(arena[99], 'a');
  EXPECT_EQ(arena[100], 'b');
  EXPECT_FALSE(readable());
}

TEST_F(HostEngineTest, DescriptorStaysReadableWhilePacketsWait) {
  give({Bytes(10), Bytes(10), Bytes(10)});
  auto one = std::span(meta).first(1);
  for (int left = 3; left > 0; --left) {
    EXPECT_TRUE(readable());
    ASSERT_TRUE(channel->read(arena, one, 0).ok());
  }
  EXPECT_FALSE(readable());
  auto nothing = channel->read(arena, one, 0);
  ASSERT_FALSE(nothing.ok());
  EXPECT_EQ(nothing.error().status, Status::AGAIN);
  give({Bytes(10)});
  EXPECT_TRUE(readable());
}

TEST_F(HostEngineTest, TimesOutWithoutPackets) {
  auto result = channel->read(arena, meta, 5);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().status, Status::TIMEOUT);
}

TEST_F(HostEngineTest, PacketLargerThanTheArenaStays) {
  give({Bytes(1000, 'x')});
  auto small = channel->read(ByteSpan(arena).first(999), meta, 0);
  ASSERT_FALSE(small.ok());
  EXPECT_EQ(small.error().status, Status::BUFFER_TOO_SMALL);
  EXPECT_EQ(*channel->read(ByteSpan(arena).first(1000), meta, 0), 1u);
}

TEST_F(HostEngineTest, FullRingDropsByName) {
  engine->stop();
  HostEngineOptions options;
  options.ring_bytes = 4096;
  make(options);
  for (int i = 0; i < 5; ++i) give({Bytes(1000)});
  EXPECT_EQ(sink.drops[Drop::engine_full], 1u);
  EXPECT_EQ(*channel->read(arena, meta, 0), 4u);
}

TEST_F(HostEngineTest, PacketsOfTheHostReachTheSink) {
  Bytes packet = testing::udp_packet("192.0.2.1", "10.8.0.2", "hello");
  std::copy(packet.begin(), packet.end(), arena.begin() + 10);
  HostPacket one{10, static_cast<uint32_t>(packet.size()), 0, 0};
  EXPECT_EQ(*channel->write(arena, {&one, 1}), 1u);
  ASSERT_TRUE(run_until(*loop, [&] { return !sink.packets.empty(); }));
  Bytes got(sink.packets[0].bytes().begin(), sink.packets[0].bytes().end());
  EXPECT_EQ(got, packet);
  EXPECT_EQ(sink.packets[0].segments, 1);
}

TEST_F(HostEngineTest, SuperPacketOfTheHostIsDescribedOrDropped) {
  Bytes packet = testing::udp_packet("192.0.2.1", "10.8.0.2", std::string(3000, 'x'));
  HostPacket good{0, static_cast<uint32_t>(packet.size()), 1200, 0};
  Bytes junk(3000, 0);
  HostPacket bad{4000, 3000, 1200, 0};
  std::copy(packet.begin(), packet.end(), arena.begin());
  HostPacket both[] = {good, bad};
  EXPECT_EQ(*channel->write(arena, both), 2u);
  ASSERT_TRUE(run_until(*loop, [&] { return sink.drops.count(Drop::bad_super_packet) > 0; }));
  ASSERT_EQ(sink.packets.size(), 1u);
  EXPECT_EQ(sink.packets[0].segment_size, 1200);
  EXPECT_EQ(sink.packets[0].segments, 3);
}

TEST_F(HostEngineTest, RefusesPacketsOutsideTheArena) {
  for (HostPacket wrong : {HostPacket{0, 0, 0, 0}, HostPacket{arena.size(), 1, 0, 0}, HostPacket{0, 65536, 0, 0},
                           HostPacket{~uint64_t{0}, 2, 0, 0}, HostPacket{0, 10, 70000, 0}}) {
    auto result = channel->write(arena, {&wrong, 1});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().status, Status::INVALID);
  }
}

TEST_F(HostEngineTest, WriteTakesWhatFitsAndThenSaysAgain) {
  engine->stop();
  HostEngineOptions options;
  options.ring_bytes = 4096;
  make(options);
  std::vector<HostPacket> many(10, HostPacket{0, 1000, 0, 0});
  EXPECT_EQ(*channel->write(arena, many), 4u);
  auto full = channel->write(arena, many);
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().status, Status::AGAIN);
  ASSERT_TRUE(run_until(*loop, [&] { return sink.packets.size() == 4; }));
  EXPECT_EQ(*channel->write(arena, many), 4u);
}

TEST_F(HostEngineTest, MoreThanATurnsShareArrivesInLaterTurns) {
  std::vector<HostPacket> many(1000, HostPacket{0, 40, 0, 0});
  EXPECT_EQ(*channel->write(arena, many), 1000u);
  EXPECT_TRUE(run_until(*loop, [&] { return sink.packets.size() == 1000; }));
}

TEST_F(HostEngineTest, StopWakesAWaitingReaderAfterItHasReadTheRest) {
  give({Bytes(10)});
  std::vector<Status> seen;
  std::thread host([&] {
    for (;;) {
      auto result = channel->read(arena, meta, -1);
      seen.push_back(result.ok() ? Status::OK : result.error().status);
      if (!result.ok()) return;
    }
  });
  engine->stop();
  host.join();
  EXPECT_EQ(seen, (std::vector<Status>{Status::OK, Status::CLOSED}));
  EXPECT_TRUE(readable()) << "closed stays readable";
  HostPacket one{0, 10, 0, 0};
  EXPECT_EQ(channel->write(arena, {&one, 1}).error().status, Status::CLOSED);
  engine.reset();
  EXPECT_EQ(channel->read(arena, meta, -1).error().status, Status::CLOSED) << "the channel outlives the engine";
}

// The host echoes from its own threads; nothing may be lost while nobody's ring is full.
TEST_F(HostEngineTest, EchoesEveryPacketAcrossThreads) {
  constexpr size_t kCount = 5000;
  std::vector<std::thread> hosts;
  for (int i = 0; i < 2; ++i)
    hosts.emplace_back([&] {
      Bytes mine(65536);
      std::vector<HostPacket> list(16);
      for (;;) {
        auto count = channel->read(mine, list, -1);
        if (!count.ok()) return;
        size_t done = 0;
        while (done < *count) {
          auto written = channel->write(mine, std::span(list).subspan(done, *count - done));
          if (written.ok()) done += *written;
          if (!written.ok() && written.error().status != Status::AGAIN) return;
        }
      }
    });
  size_t sent = 0;
  auto produce = [&] {
    for (int i = 0; i < 20 && sent < kCount; ++i, ++sent) {
      Bytes packet(60);
      std::memcpy(packet.data(), &sent, sizeof sent);
      give({packet});
    }
    if (sent < kCount) loop->post([] {});
    return sink.packets.size() == kCount;
  };
  EXPECT_TRUE(run_until(*loop, produce));
  EXPECT_TRUE(sink.drops.empty());
  std::vector<bool> seen(kCount);
  for (const Packet& packet : sink.packets) {
    size_t number = 0;
    std::memcpy(&number, packet.bytes().data(), sizeof number);
    ASSERT_LT(number, kCount);
    EXPECT_FALSE(seen[number]);
    seen[number] = true;
  }
  engine->stop();
  for (auto& host : hosts) host.join();
}

}  // namespace
}  // namespace smartvpn::forward
