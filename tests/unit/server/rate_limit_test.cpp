// Rate limits of clients and sessions: what passes, what waits, what is dropped and under which name. How
// exact they are over time is acl/token_bucket_test.cpp's, and with real TCP netns.traffic's.
#include "net/loop.hpp"
#include "server/session_limits.hpp"
#include "support/inner_packets.hpp"
#include "support/stranger.hpp"

namespace smartvpn::testing_support {
namespace {

constexpr uint64_t kRate = 100000;  // bytes a second

registry::ClientSpec limited(const char* id, uint64_t from_client, uint64_t to_client) {
  registry::ClientSpec spec;
  spec.id = id;
  spec.security.rate_limit = {from_client, 20000, to_client, 20000};
  return spec;
}

uint64_t drops(RunningServer& server, Drop why) {
  return stats_of(server).total.traffic.drops[static_cast<size_t>(why)];
}

// Counts what comes within a time.
template <class Read>
uint64_t bytes_within(Read&& read, Duration time) {
  uint64_t bytes = 0;
  const Time until = monotonic_now() + time;
  while (monotonic_now() < until) bytes += read();
  return bytes;
}

// By the host behind the server.
uint64_t bytes_received(RunningServer& server, Duration time) {
  Bytes arena(70000);
  return bytes_within(
      [&]() -> uint64_t {
        forward::HostPacket meta;
        auto count = server.server->packets_read(arena, {&meta, 1}, 50);
        return count ? meta.length : 0;
      },
      time);
}

TEST(RateLimit, WhatAClientSendsOverItsLimitWaitsAndThenIsDroppedByName) {
  ServerSetup setup;
  setup.mode = "host";
  RunningServer server{setup};
  auto tunnel = connect(client_config(server.create_client(limited("alice", kRate, 0)), "host"));
  const Bytes packet = testing::udp_packet("10.8.0.2", "192.0.2.1", std::string(1300, 'x'));
  for (int i = 0; i < 1500; ++i) write_packet(*tunnel, packet);  // 2 MB
  const uint64_t bytes = bytes_received(server, seconds(3));
  EXPECT_GT(bytes, kRate);
  EXPECT_LT(bytes, kRate * 5);
  EXPECT_GT(drops(server, Drop::rate_limit), 0u);
  EXPECT_EQ(drops(server, Drop::queue_full), 0u);
}

TEST(RateLimit, WhatGoesToAClientOverItsLimitWaitsAndThenIsDroppedByName) {
  ServerSetup setup;
  setup.mode = "host";
  RunningServer server{setup};
  auto tunnel = connect(client_config(server.create_client(limited("alice", 0, kRate)), "host"));
  const Bytes packet = testing::udp_packet("192.0.2.1", "10.8.0.2", std::string(1300, 'x'));
  for (int i = 0; i < 1500; ++i) {
    forward::HostPacket meta;
    meta.length = static_cast<uint32_t>(packet.size());
    (void)server.server->packets_write(packet, {&meta, 1}).ok();
  }
  const uint64_t bytes = bytes_within([&]() -> uint64_t { return read_packet(*tunnel, 50).size(); }, seconds(3));
  EXPECT_GT(bytes, kRate);
  EXPECT_LT(bytes, kRate * 5);
  EXPECT_GT(drops(server, Drop::rate_limit), 0u);
  // The session itself is not held up: its control messages pass by.
  EXPECT_EQ(sessions_of(server).size(), 1u);
}

TEST(RateLimit, AllSessionsOfAClientShareOne) {
  ServerSetup setup;
  setup.mode = "host";
  RunningServer server{setup};
  registry::ClientSpec spec = limited("alice", kRate, 0);
  spec.max_sessions = 2;
  const std::string json = server.create_client(spec);
  auto one = connect(client_config(json, "host")), two = connect(client_config(json, "host"));
  ASSERT_TRUE(one && two);
  for (auto* tunnel : {one.get(), two.get()}) {
    const Bytes packet = testing::udp_packet(address_v4(*tunnel).text(), "192.0.2.1", std::string(1300, 'x'));
    for (int i = 0; i < 300; ++i) write_packet(*tunnel, packet);
  }
  const uint64_t bytes = bytes_received(server, seconds(2));
  EXPECT_GT(bytes, kRate);
  EXPECT_LT(bytes, kRate * 4);
}

class SessionLimits : public ::testing::Test {
 protected:
  SessionLimits() : loop(*net::Loop::create()), limits(*loop, account, 7, [this] { ++released; }) {}
  Packet packet(size_t size = 1000) {
    Packet out = pool.take(size);
    std::fill(out.bytes().begin(), out.bytes().end(), uint8_t{0x45});
    return out;
  }
  // Empties a gate's burst.
  static void use_up(server::RateGate& gate, Time now) {
    while (gate.open(now)) gate.passed(1000, now);
  }
  std::unique_ptr<net::Loop> loop;
  PacketPool pool;
  std::shared_ptr<server::ClientAccount> account = std::make_shared<server::ClientAccount>();
  server::SessionLimits limits;
  int released = 0;
  const Time start = Time(seconds(1000));
};

TEST_F(SessionLimits, TheNarrowerOfTheClientsAndTheSessionsOwnHolds) {
  limits.set({10000, 1000, 0, 0}, registry::RateLimit{5000, 1000, 20000, 1000}, start);
  EXPECT_TRUE(limits.to_client.limited());
  limits.from_client.passed(3000, start);  // 2000 more than there were
  EXPECT_FALSE(limits.from_client.open(start + milliseconds(300)));
  EXPECT_TRUE(account->from_client.open(start + milliseconds(300)));
  EXPECT_TRUE(limits.from_client.open(start + milliseconds(450)));
}

TEST_F(SessionLimits, ALimitThatIsTakenAwayLetsWhatWaitsGo) {
  limits.set({1000, 1000, 0, 0}, std::nullopt, start);
  use_up(limits.from_client, start);
  limits.held.push(packet(), start);
  uint64_t dropped = 0;
  EXPECT_FALSE(limits.held.pop(start, &dropped));
  EXPECT_EQ(limits.held.drop_name(), Drop::rate_limit);
  limits.set({}, std::nullopt, start);
  EXPECT_TRUE(limits.held.pop(start, &dropped));
  EXPECT_FALSE(limits.from_client.limited());
}

TEST_F(SessionLimits, ReleaseIsCalledWhenTheLimitAllows) {
  loop->set_turn_hook([this] {
    if (released > 0) loop->stop();
  });
  const Time now = monotonic_now();
  limits.set({100000, 5000, 0, 0}, std::nullopt, now);
  use_up(limits.from_client, now);
  limits.await_release();
  loop->run();
  EXPECT_EQ(released, 1);
  EXPECT_TRUE(limits.from_client.open(monotonic_now()));
}

TEST_F(SessionLimits, SuperPacketsAreCutWhereTheyWouldBlockTheWay) {
  limits.set({100000, 0, 100000000, 0}, std::nullopt, start);
  EXPECT_TRUE(limits.from_client.is_slow());
  EXPECT_FALSE(limits.to_client.is_slow());
  limits.set({}, registry::RateLimit{0, 0, 1000, 0}, start);
  EXPECT_FALSE(limits.from_client.is_slow());
  EXPECT_TRUE(limits.to_client.is_slow());
}

}  // namespace
}  // namespace smartvpn::testing_support
