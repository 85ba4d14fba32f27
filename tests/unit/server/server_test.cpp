#include "server/server.hpp"

#include <thread>

#include "support/vpn_pair.hpp"

namespace smartvpn::testing_support {
namespace {

using telemetry::EventType;

TEST(Server, CarriesAPingFromAClientThroughTheTestingEngine) {
  RunningServer server{ServerSetup()};
  auto tunnel = connect(client_config(server.create_client("alice"), "host"));
  auto up = server.wait(EventType::session_up);
  ASSERT_TRUE(up);
  EXPECT_STREQ(up->text("client_id"), "alice");
  EXPECT_STREQ(up->text("transport"), "websocket");
  std::string peer = up->text("peer_addr");
  EXPECT_EQ(peer.rfind("127.0.0.1:", 0), 0u) << peer;
  EXPECT_EQ(peer, up->text("remote_addr"));

  auto own = address_v4(*tunnel);
  EXPECT_EQ(own.text(), "10.8.0.2");
  auto gateway = *inet::IpAddress::parse("10.8.0.1");
  Bytes request = echo_request(own, gateway);
  write_packet(*tunnel, request);
  Bytes reply = read_packet(*tunnel);
  ASSERT_EQ(reply.size(), request.size());
  EXPECT_EQ(reply[20], 0);
  EXPECT_TRUE(std::equal(gateway.bytes().begin(), gateway.bytes().end(), reply.begin() + 12));
  EXPECT_TRUE(std::equal(reply.begin() + 28, reply.end(), request.begin() + 28));

  auto sessions = server.server->sessions();
  ASSERT_TRUE(sessions);
  ASSERT_EQ(sessions->size(), 1u);
  EXPECT_EQ((*sessions)[0].counters.inner_packets_in, 1u);
  EXPECT_EQ((*sessions)[0].counters.inner_packets_out, 1u);
  EXPECT_EQ((*sessions)[0].client_id, "alice");
}

TEST(Server, DropsAPacketWithAnothersSourceByName) {
  RunningServer server{ServerSetup()};
  auto tunnel = connect(client_config(server.create_client("alice"), "host"));
  auto gateway = *inet::IpAddress::parse("10.8.0.1");
  write_packet(*tunnel, echo_request(*inet::IpAddress::parse("10.8.0.77"), gateway));
  write_packet(*tunnel, echo_request(address_v4(*tunnel), gateway));
  ASSERT_FALSE(read_packet(*tunnel).empty());
  auto sessions = server.server->sessions();
  ASSERT_EQ(sessions->size(), 1u);
  EXPECT_EQ((*sessions)[0].counters.drops[static_cast<size_t>(Drop::spoofed_source)], 1u);
  EXPECT_EQ((*sessions)[0].counters.inner_packets_in, 1u);
}

TEST(Server, ShowsTheRealAddressOfAProxyV2Header) {
  ServerSetup setup;
  setup.listen = R"({"transport":"websocket","address":"127.0.0.1","port":0,
                     "proxy_protocol":{"mode":"v2","trusted_proxies":["127.0.0.0/8"]}})";
  RunningServer server{setup};
  auto tunnel = connect(
      client_config(server.create_client("alice"), "testing",
                    R"(,"proxy_protocol":{"send":"v2","source":"198.51.100.7:4711","destination":"203.0.113.1:443"})"));
  auto up = server.wait(EventType::session_up);
  ASSERT_TRUE(up);
  EXPECT_STREQ(up->text("remote_addr"), "198.51.100.7:4711");
  EXPECT_EQ(std::string(up->text("peer_addr")).rfind("127.0.0.1:", 0), 0u);
}

TEST(Server, RefusesABlockedRealAddressBeforeAnyHandshake) {
  ServerSetup setup;
  setup.listen = R"({"transport":"websocket","address":"127.0.0.1","port":0,
                     "proxy_protocol":{"mode":"v2","trusted_proxies":["127.0.0.1"]}})";
  setup.extra = R"(,"security":{"connection_ip_block_list":["198.51.100.64/26"]})";
  RunningServer server{setup};
  auto tunnel = make_tunnel(client_config(
      server.create_client("alice"), "testing",
      R"(,"proxy_protocol":{"send":"v2","source":"198.51.100.66:4711","destination":"203.0.113.1:443"},"reconnect":{"enabled":false})"));
  ASSERT_TRUE(tunnel->start());
  auto rejected = server.wait(EventType::connection_rejected);
  ASSERT_TRUE(rejected);
  EXPECT_STREQ(rejected->text("reason"), "ip_block_list");
  EXPECT_STREQ(rejected->text("remote_addr"), "198.51.100.66:4711");
  EXPECT_EQ(tunnel->wait_connected(kWaitMs).error().status, Status::REFUSED);
  auto stats = server.server->stats();
  EXPECT_EQ(stats->total.handshakes_total, 0u);
}

TEST(Server, RefusesAProxyThatIsNotTrusted) {
  ServerSetup setup;
  setup.listen = R"({"transport":"websocket","address":"127.0.0.1","port":0,
                     "proxy_protocol":{"mode":"any","trusted_proxies":["192.0.2.1"]}})";
  RunningServer server{setup};
  auto tunnel =
      make_tunnel(client_config(server.create_client("alice"), "testing", R"(,"proxy_protocol":{"send":"v1"})"));
  ASSERT_TRUE(tunnel->start());
  auto rejected = server.wait(EventType::connection_rejected);
  ASSERT_TRUE(rejected);
  EXPECT_STREQ(rejected->text("reason"), "untrusted_proxy");
  EXPECT_EQ(rejected->text("remote_addr"), nullptr);
}

TEST(Server, RefusesAnUnknownKeyWithoutTellingWhy) {
  RunningServer server{ServerSetup()};
  std::string json = server.create_client("alice");
  ASSERT_TRUE(server.server->client_remove("alice"));
  auto tunnel = make_tunnel(client_config(json, "testing", R"(,"reconnect":{"enabled":false})"));
  ASSERT_TRUE(tunnel->start());
  auto rejected = server.wait(EventType::connection_rejected);
  ASSERT_TRUE(rejected);
  EXPECT_STREQ(rejected->text("reason"), "unknown_client");
  EXPECT_EQ(tunnel->wait_connected(kWaitMs).error().status, Status::REFUSED);
  EXPECT_EQ(tunnel->info().last_reason, Reason::handshake_failed);
}

TEST(Server, TellsADisabledClientAndCutsALiveOne) {
  RunningServer server{ServerSetup()};
  std::string json = client_config(server.create_client("alice"), "testing");
  auto live = connect(json);
  ASSERT_TRUE(server.server->client_set_enabled("alice", false));
  auto down = server.wait(EventType::session_down);
  ASSERT_TRUE(down);
  EXPECT_STREQ(down->text("reason"), "client_disabled");
  auto again = make_tunnel(json);
  ASSERT_TRUE(again->start());
  auto refused = again->wait_connected(kWaitMs);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, Status::REFUSED);
  EXPECT_EQ(again->info().last_reason, Reason::client_disabled);
}

TEST(Server, ANewerSessionReplacesTheOlderOneAndKeepsItsAddress) {
  RunningServer server{ServerSetup()};
  std::string json = client_config(server.create_client("alice"), "testing", R"(,"reconnect":{"enabled":false})");
  auto first = connect(json);
  ASSERT_TRUE(server.wait(EventType::session_up));
  auto second = connect(json);
  ASSERT_TRUE(server.wait(EventType::session_up));
  auto down = server.wait(EventType::session_down);
  ASSERT_TRUE(down);
  EXPECT_STREQ(down->text("reason"), "replaced");
  EXPECT_EQ(address_v4(*second).text(), "10.8.0.2");
  EXPECT_EQ(server.server->sessions()->size(), 1u);
}

TEST(Server, ClientsReachEachOtherOnlyWhenAllowed) {
  for (bool allowed : {false, true}) {
    ServerSetup setup;
    setup.network = allowed ? R"(,"client_to_client":true)" : "";
    RunningServer server{setup};
    auto a = connect(client_config(server.create_client("a"), "host"));
    auto b = connect(client_config(server.create_client("b"), "host"));
    write_packet(*a, echo_request(address_v4(*a), address_v4(*b)));
    Bytes got = read_packet(*b, allowed ? kWaitMs : 300);
    EXPECT_EQ(!got.empty(), allowed);
    uint64_t dropped = 0;
    auto sessions = server.server->sessions();
    for (auto& session : *sessions) dropped += session.counters.drops[static_cast<size_t>(Drop::client_to_client)];
    EXPECT_EQ(dropped, allowed ? 0u : 1u);
  }
}

TEST(Server, StopTellsSessionsAndEndsWithinItsLimit) {
  RunningServer server{ServerSetup()};
  auto tunnel = connect(client_config(server.create_client("alice"), "testing", R"(,"reconnect":{"enabled":false})"));
  ASSERT_TRUE(server.server->stop(0, kWaitMs));
  EXPECT_EQ(server.server->state(), server::State::stopped);
  auto down = server.wait(EventType::session_down);
  ASSERT_TRUE(down);
  EXPECT_STREQ(down->text("reason"), "server_stopping");
  EXPECT_EQ(tunnel->wait_connected(0).ok(), false);
}

TEST(Server, StopFromManyThreadsEndsForAllOfThem) {
  RunningServer server{ServerSetup()};
  std::vector<std::thread> threads;
  std::atomic<int> stopped{0};
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { stopped += server.server->stop(0, kWaitMs).ok(); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(stopped, 8);
}

TEST(Server, ReportsThePathOfAPortThatIsInUse) {
  RunningServer first{ServerSetup()};
  ServerSetup setup;
  setup.listen = R"({"transport":"websocket","address":"127.0.0.1","port":)" + std::to_string(first.port()) + "}";
  auto config = config::parse_server_config(setup.json());
  auto server = std::move(*server::Server::create(std::move(*config)));
  auto started = server->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().status, Status::SYSTEM);
  EXPECT_EQ(started.error().system_errno, EADDRINUSE);
  EXPECT_EQ(started.error().path.rfind("/listen/0", 0), 0u) << started.error().path;
}

TEST(Tunnel, ReconnectsAfterADisconnectAndKeepsItsInnerAddress) {
  RunningServer server{ServerSetup()};
  auto tunnel =
      connect(client_config(server.create_client("alice"), "host", R"(,"reconnect":{"initial_ms":20,"max_ms":50})"));
  auto other = connect(client_config(server.create_client("bob"), "testing"));
  auto up = server.wait(EventType::session_up);
  ASSERT_TRUE(up);
  auto address = address_v4(*tunnel);
  ASSERT_TRUE(server.server->disconnect(*up->u64("session_id"), Reason::disconnected));
  ASSERT_TRUE(server.wait(EventType::session_down));
  auto again = server.wait(EventType::session_up);
  ASSERT_TRUE(again);
  EXPECT_STREQ(again->text("client_id"), "alice");
  ASSERT_TRUE(tunnel->wait_connected(kWaitMs));
  EXPECT_EQ(address_v4(*tunnel), address);
}

TEST(Tunnel, StopTellsTheServer) {
  RunningServer server{ServerSetup()};
  auto tunnel = connect(client_config(server.create_client("alice"), "testing"));
  ASSERT_TRUE(server.wait(EventType::session_up));
  ASSERT_TRUE(tunnel->stop(kWaitMs));
  auto down = server.wait(EventType::session_down);
  ASSERT_TRUE(down);
  EXPECT_STREQ(down->text("reason"), "peer_closed");
  EXPECT_EQ(tunnel->state(), tunnel::State::stopped);
}

}  // namespace
}  // namespace smartvpn::testing_support
