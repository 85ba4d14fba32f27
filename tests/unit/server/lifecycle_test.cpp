// Servers that come and go: several in one process, many connections one after the other, and ends
// that arrive while everybody is busy.
#include <dirent.h>

#include <atomic>

#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

using telemetry::EventType;

size_t open_descriptors() {
  size_t count = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (readdir(dir)) ++count;
  closedir(dir);
  return count;
}

TEST(Lifecycle, TwoServersInOneProcessDoNotKnowOfEachOther) {
  RunningServer one{ServerSetup()}, two{ServerSetup()};
  std::string alice = one.create_client("alice"), bob = two.create_client("bob");
  auto a = connect(client_config(alice, "host")), b = connect(client_config(bob, "host"));
  auto gateway = *inet::IpAddress::parse("10.8.0.1");
  EXPECT_EQ(address_v4(*a), address_v4(*b));
  for (auto* tunnel : {a.get(), b.get()}) {
    write_packet(*tunnel, echo_request(address_v4(*tunnel), gateway));
    EXPECT_FALSE(read_packet(*tunnel).empty());
  }
  EXPECT_EQ(sessions_of(one).at(0).client_id, "alice");
  EXPECT_EQ(sessions_of(two).at(0).client_id, "bob");
  one.server.reset();
  write_packet(*b, echo_request(address_v4(*b), gateway));
  EXPECT_FALSE(read_packet(*b).empty());
}

TEST(Lifecycle, TwoHundredConnectionsLeaveNoDescriptorBehind) {
  ServerSetup setup;
  setup.extra = R"(,"security":{"new_connections_per_ip_per_minute":1000})";
  RunningServer server{setup};
  SecretKey key = key_of(server.create_client("alice"));
  auto cycle = [&](int i) {
    WireClient client(RawSocket(server.port()), server.public_key_, key.clone());
    EXPECT_TRUE(client.connect()) << i;
    EXPECT_TRUE(client.hear()) << i;  // the server's first data: the session stands
    if (i % 2) client.initiator().close(Reason::peer_closed, monotonic_now());
    if (i % 2) client.say_next();
    if (i % 4 == 1) client.socket.read_to_end();
    if (i % 4 == 2) client.socket.reset();
  };
  cycle(0);
  ASSERT_TRUE(becomes_idle(server));
  const size_t before = open_descriptors();
  for (int i = 1; i <= 200; ++i) cycle(i);
  ASSERT_TRUE(becomes_idle(server));
  EXPECT_TRUE(eventually([&] { return open_descriptors() <= before; })) << open_descriptors() << " " << before;
  auto total = stats_of(server).total;
  EXPECT_EQ(total.sessions_total, 201u);
  uint64_t ended = 0;
  for (uint64_t n : total.sessions_ended) ended += n;
  EXPECT_EQ(ended, 201u);
  EXPECT_EQ(total.rejections_total(), 0u);
}

TEST(Lifecycle, AServerMayGoWhileEverybodyIsConnected) {
  for (bool talk : {false, true}) {
    RunningServer server{ServerSetup()};
    std::vector<std::unique_ptr<tunnel::Tunnel>> tunnels;
    for (int i = 0; i < 4; ++i)
      tunnels.push_back(
          connect(client_config(server.create_client("client" + std::to_string(i)), "host", kNoReconnect)));
    RawSocket stranger(server.port());
    WireClient half(RawSocket(server.port()), server.public_key_);
    ASSERT_TRUE(half.upgrade());
    std::atomic<bool> done{false};
    std::thread talker([&] {
      while (talk && !done) {
        for (auto& tunnel : tunnels) {
          Bytes packet = echo_request(address_v4(*tunnel), *inet::IpAddress::parse("10.8.0.1"));
          forward::HostPacket meta;
          meta.length = static_cast<uint32_t>(packet.size());
          (void)tunnel->packets_write(packet, {&meta, 1}).ok();
        }
      }
    });
    const Time begun = monotonic_now();
    auto events = server.events;
    server.server.reset();
    EXPECT_LT(monotonic_now() - begun, seconds(5));
    done = true;
    talker.join();
    stranger.read_to_end();
    EXPECT_NE(stranger.ending(), Ending::open);
    int downs = 0, refused = 0;
    for (;;) {
      auto event = events->next(0);
      if (!event) break;
      downs +=
          (*event)->type() == EventType::session_down && (*event)->text("reason") == std::string("server_stopping");
      refused += (*event)->type() == EventType::connection_rejected;
    }
    EXPECT_EQ(downs, 4);
    EXPECT_EQ(refused, 1);  // two of one address and reason
    for (auto& tunnel : tunnels) {
      ASSERT_TRUE(eventually([&] { return tunnel->state() == tunnel::State::waiting; }));
      EXPECT_EQ(tunnel->info().last_reason, Reason::server_stopping);
    }
  }
}

// Stopping a tunnel that was refused waited a second for a goodbye that nobody would say.
TEST(Lifecycle, ARefusedTunnelStopsAtOnce) {
  RunningServer server{ServerSetup()};
  std::string json = client_config(server.create_client("alice"), "testing", kNoReconnect);
  json.replace(json.find("/tunnel"), 7, "/wrong");
  auto tunnel = make_tunnel(json);
  ASSERT_TRUE(tunnel->start());
  EXPECT_FALSE(tunnel->wait_connected(kWaitMs));
  const Time begun = monotonic_now();
  ASSERT_TRUE(tunnel->stop(kWaitMs));
  EXPECT_LT(monotonic_now() - begun, milliseconds(900));
}

TEST(Lifecycle, ALaterStopShortensTheDrain) {
  RunningServer server{ServerSetup()};
  auto tunnel = connect(client_config(server.create_client("alice"), "testing", kNoReconnect));
  ASSERT_TRUE(tunnel);
  EXPECT_EQ(server.server->stop(600000, 0).error().status, Status::AGAIN);
  EXPECT_TRUE(server.server->stop(0, kWaitMs));
}

// A command that was posted while the loop ended waited until somebody called stop() again.
TEST(Lifecycle, CommandsThatRaceWithTheEndAreAnswered) {
  for (int round = 0; round < 20; ++round) {
    RunningServer server{ServerSetup()};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        for (;;) {
          auto sessions = server.server->sessions();
          if (sessions) continue;
          EXPECT_EQ(sessions.error().status, Status::BAD_STATE) << sessions.error().text;
          break;
        }
      });
    }
    (void)server.server->stop(0, 0).ok();
    for (auto& thread : threads) thread.join();  // nobody has called stop() again
    EXPECT_TRUE(server.server->stop(0, kWaitMs));
  }
}

TEST(Lifecycle, ASessionThatIsToldToGoTwiceGoesOnce) {
  RunningServer server{ServerSetup()};
  auto tunnel = connect(client_config(server.create_client("alice"), "testing", kNoReconnect));
  ASSERT_TRUE(tunnel);
  uint64_t id = sessions_of(server).at(0).id;
  ASSERT_TRUE(server.server->disconnect(id, Reason::disconnected));
  EXPECT_EQ(server.server->disconnect(id, Reason::disconnected).error().status, Status::NOT_FOUND);
  ASSERT_TRUE(server.server->client_remove("alice"));
  auto down = server.wait(EventType::session_down);
  ASSERT_TRUE(down);
  EXPECT_STREQ(down->text("reason"), "disconnected");
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(stats_of(server).total.sessions_ended[static_cast<size_t>(Reason::disconnected)], 1u);
}

}  // namespace
}  // namespace smartvpn::testing_support
