// What is told of a client over all its sessions: it survives reconnects, goes with the client, and is in
// the Prometheus text only on request.
#include "support/inner_packets.hpp"
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

telemetry::ClientStats stats_of_client(RunningServer& server, const std::string& id) {
  auto stats = server.server->client_stats(id);
  EXPECT_TRUE(stats) << stats.error().text;
  return stats ? *stats : telemetry::ClientStats{};
}

void ping(tunnel::Tunnel& tunnel) {
  write_packet(tunnel, testing::echo_request(address_v4(tunnel).text(), "10.8.0.1"));
  EXPECT_FALSE(read_packet(tunnel).empty());
}

TEST(ClientStats, SurviveReconnectsAndGoWithTheClient) {
  RunningServer server{ServerSetup()};
  const std::string json = server.create_client("alice");
  EXPECT_EQ(stats_of_client(server, "alice").sessions_total, 0u);
  uint64_t outer = 0;
  for (uint64_t round = 1; round <= 2; ++round) {
    auto tunnel = connect(client_config(json, "host"));
    ASSERT_TRUE(tunnel);
    ping(*tunnel);
    write_packet(*tunnel, testing::echo_request("10.8.0.77", "10.8.0.1"));
    ASSERT_TRUE(eventually([&] {
      return stats_of_client(server, "alice").traffic.drops[static_cast<size_t>(Drop::spoofed_source)] == round;
    }));
    auto live = stats_of_client(server, "alice");
    EXPECT_EQ(live.sessions_now, 1u);
    EXPECT_EQ(live.sessions_total, round);
    EXPECT_EQ(live.traffic.inner_packets_in, round);
    EXPECT_EQ(live.traffic.inner_packets_out, round);
    EXPECT_GT(live.traffic.outer_bytes_in, outer);
    EXPECT_GE(live.traffic.outer_messages_in, 2 * round);
    EXPECT_GE(live.traffic.outer_messages_out, 2 * round);
    EXPECT_TRUE(live.quality);
    outer = live.traffic.outer_bytes_in;
    tunnel.reset();
    ASSERT_TRUE(becomes_idle(server));
    auto over = stats_of_client(server, "alice");
    EXPECT_EQ(over.sessions_now, 0u);
    EXPECT_GE(over.traffic.outer_bytes_in, outer);
    EXPECT_GT(over.last_seen_ms, 1600000000000);
    EXPECT_FALSE(over.quality);
    EXPECT_EQ(over.traffic.inner_bytes_in, stats_of(server).total.traffic.inner_bytes_in);
  }
  ASSERT_TRUE(server.server->client_remove("alice"));
  EXPECT_EQ(server.server->client_stats("alice").error().status, Status::NOT_FOUND);
  server.create_client("alice");
  EXPECT_EQ(stats_of_client(server, "alice").sessions_total, 0u);
}

TEST(ClientStats, ASessionThatEndsWithItsClientLeavesNothingToTheNextOneOfThatName) {
  RunningServer server{ServerSetup()};
  auto tunnel = connect(client_config(server.create_client("alice"), "host"));
  ping(*tunnel);
  ASSERT_TRUE(server.server->client_remove("alice"));
  server.create_client("alice");
  ASSERT_TRUE(becomes_idle(server));
  EXPECT_EQ(stats_of_client(server, "alice").traffic.inner_packets_in, 0u);
  EXPECT_EQ(stats_of(server).total.traffic.inner_packets_in, 1u);
}

TEST(ClientStats, AreInThePrometheusTextOnlyOnRequest) {
  for (bool label : {false, true}) {
    ServerSetup setup;
    if (label) setup.extra = R"(,"telemetry":{"client_label":true})";
    RunningServer server{setup};
    auto tunnel = connect(client_config(server.create_client("alice"), "host"));
    ping(*tunnel);
    ASSERT_TRUE(eventually([&] { return stats_of(server).total.traffic.inner_packets_in == 1; }));
    const std::string text = stats_of(server).prometheus();
    EXPECT_EQ(text.find("smartvpn_client_inner_packets_in_total{client=\"alice\"} 1\n") != std::string::npos, label);
    EXPECT_EQ(text.find("client=\"") != std::string::npos, label);
    EXPECT_NE(text.find("smartvpn_sessions_by_health{health=\"good\"} 1\n"), std::string::npos);
  }
}

TEST(SessionQuality, LossIsAbsentOnACarrierThatCannotLose) {
  RunningServer server{ServerSetup()};
  auto tunnel = connect(client_config(server.create_client("alice"), "host"));
  ASSERT_TRUE(eventually([&] { return sessions_of(server).size() == 1; }));
  EXPECT_FALSE(sessions_of(server)[0].quality.loss_ppm);
  EXPECT_EQ(stats_of_client(server, "alice").json().find("loss"), std::string::npos);
}

TEST(SessionQuality, ASilentPeerIsDeadAndOneThatIsHeardAgainIsNot) {
  ServerSetup setup;
  setup.extra = R"(,"session":{"keepalive_interval_ms":1000})";
  RunningServer server{setup};
  WireClient client(RawSocket(server.port()), server.public_key_, key_of(server.create_client("alice")));
  ASSERT_TRUE(client.connect());
  // It reads nothing and answers no ping; the protocol gives it a quarter of a minute.
  auto event = server.wait(telemetry::EventType::health_changed);
  if (!event) event = server.wait(telemetry::EventType::health_changed);
  ASSERT_TRUE(event);
  EXPECT_STREQ(event->text("health"), "dead");
  EXPECT_STREQ(event->text("client_id"), "alice");
  EXPECT_EQ(stats_of(server).sessions_by_health[static_cast<size_t>(telemetry::Health::dead)], 1u);
  client.initiator().tick(monotonic_now() + seconds(60));
  ASSERT_TRUE(client.say_next());
  event = server.wait(telemetry::EventType::health_changed);
  ASSERT_TRUE(event);
  EXPECT_STREQ(event->text("health"), "good");
  EXPECT_EQ(sessions_of(server)[0].quality.health, telemetry::Health::good);
}

}  // namespace
}  // namespace smartvpn::testing_support
