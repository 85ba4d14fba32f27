// Limits per real address and over all, through a proxy and without one, and that every count goes
// back to nothing.
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

using telemetry::EventType;

ServerSetup behind_proxy(const std::string& security) {
  ServerSetup setup;
  setup.listen = proxied_listener("v2");
  setup.extra = R"(,"security":{)" + security + "}";
  return setup;
}

// Says from where it comes; open once the server has counted it, or refused.
RawSocket arrive(RunningServer& server, const Bytes& header) {
  RawSocket socket(server.port());
  socket.send(header);
  return socket;
}
bool stays(RawSocket& socket) {
  socket.read_to_end(150);
  return socket.ending() == Ending::open;
}
bool is_refused(RawSocket& socket) { return socket.read_to_end().empty() && socket.ending() != Ending::open; }
bool is_served(RawSocket& socket) { return ask(socket, kHealthRequest) == "HTTP/1.1 200 OK"; }

TEST(Limits, ConnectionsCountAgainstTheRealAddress) {
  RunningServer server{behind_proxy(R"("max_connections_per_ip":2)")};
  const Bytes a = v2_header("198.51.100.7:1"), b = v2_header("198.51.100.8:1");
  RawSocket a1 = arrive(server, a), a2 = arrive(server, a);
  ASSERT_TRUE(eventually([&] { return stats_of(server).total.handshakes_in_progress == 2; }));
  RawSocket a3 = arrive(server, a), mapped = arrive(server, v2_mapped_header("198.51.100.7"));
  EXPECT_TRUE(is_refused(a3));
  EXPECT_TRUE(is_refused(mapped));
  auto event = server.wait(EventType::connection_rejected);
  ASSERT_TRUE(event);
  EXPECT_STREQ(event->text("reason"), "too_many_connections");
  EXPECT_EQ(std::string(event->text("remote_addr")).rfind("198.51.100.7:", 0), 0u);
  RawSocket b1 = arrive(server, b), b2 = arrive(server, b);
  EXPECT_TRUE(is_served(b1));
  EXPECT_TRUE(is_served(b2));
  EXPECT_TRUE(stays(a1));
  a1.close();
  ASSERT_TRUE(eventually([&] { return stats_of(server).total.handshakes_in_progress == 1; }));
  RawSocket a4 = arrive(server, a);
  EXPECT_TRUE(is_served(a4));
  EXPECT_TRUE(is_served(a2));
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(rejections(server, Reason::too_many_connections), 2u);
}

TEST(Limits, AnIpv6SourceIsItsSlash64) {
  RunningServer server{behind_proxy(R"("max_connections_per_ip":1)")};
  RawSocket first = arrive(server, v2_header("[2001:db8:1:2::1]:1"));
  ASSERT_TRUE(eventually([&] { return stats_of(server).total.handshakes_in_progress == 1; }));
  RawSocket neighbour = arrive(server, v2_header("[2001:db8:1:2:ffff::9]:1"));
  RawSocket other = arrive(server, v2_header("[2001:db8:1:3::1]:1"));
  EXPECT_TRUE(is_refused(neighbour));
  EXPECT_TRUE(is_served(other));
  EXPECT_TRUE(is_served(first));
  EXPECT_TRUE(becomes_idle(server));
}

TEST(Limits, NewConnectionsAreCountedByTheMinute) {
  RunningServer server{behind_proxy(R"("new_connections_per_ip_per_minute":3)")};
  const Bytes a = v2_header("198.51.100.7:1"), b = v2_header("198.51.100.8:1");
  for (int i = 0; i < 3; ++i) {
    RawSocket socket = arrive(server, a);
    EXPECT_TRUE(is_served(socket)) << i;
  }
  for (int i = 0; i < 2; ++i) {
    RawSocket socket = arrive(server, a);
    EXPECT_TRUE(is_refused(socket)) << i;
  }
  RawSocket neighbour = arrive(server, b);
  EXPECT_TRUE(is_served(neighbour));
  EXPECT_EQ(next_rejection(server), "rate_limited");
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(rejections(server, Reason::rate_limited), 2u);
}

TEST(Limits, HandshakesInProgressAreBoundedOverAllAddresses) {
  RunningServer server{behind_proxy(R"("max_handshakes_in_progress":2)")};
  std::string json = server.create_client("alice");
  RawSocket one = arrive(server, v2_header("198.51.100.1:1")), two = arrive(server, v2_header("198.51.100.2:1"));
  ASSERT_TRUE(eventually([&] { return stats_of(server).total.handshakes_in_progress == 2; }));
  RawSocket three = arrive(server, v2_header("198.51.100.3:1"));
  EXPECT_TRUE(is_refused(three));
  EXPECT_EQ(next_rejection(server), "too_many_handshakes");
  // A session is no handshake: it frees its place.
  two.close();
  ASSERT_TRUE(eventually([&] { return stats_of(server).total.handshakes_in_progress == 1; }));
  WireClient client(RawSocket(server.port()), server.public_key_, key_of(json));
  ASSERT_TRUE(client.connect(v2_header("198.51.100.4:1")));
  ASSERT_TRUE(server.wait(EventType::session_up));
  EXPECT_EQ(stats_of(server).total.handshakes_in_progress, 1u);
  RawSocket five = arrive(server, v2_header("198.51.100.5:1"));
  EXPECT_TRUE(is_served(five));
  client.socket.close();
  one.close();
  EXPECT_TRUE(becomes_idle(server));
}

TEST(Limits, ConnectionsWithoutAHeaderYetCountAgainstTheirProxy) {
  ServerSetup setup = behind_proxy(R"("max_handshakes_in_progress":2)");
  setup.listen = proxied_listener("v2", "", "127.0.0.0/8");
  RunningServer server{setup};
  RawSocket one(server.port()), two(server.port());
  ASSERT_TRUE(eventually([&] { return stats_of(server).total.connections_open == 2; }));
  RawSocket three(server.port()), from_another(server.port(), "127.0.0.2");
  EXPECT_TRUE(is_refused(three));
  EXPECT_EQ(next_rejection(server), "too_many_connections");
  from_another.send(v2_header("198.51.100.3:1"));
  EXPECT_TRUE(is_served(from_another));
  one.send(v2_header("198.51.100.1:1"));  // leaves the header stage
  EXPECT_TRUE(is_served(one));
  RawSocket four(server.port());
  four.send(v2_header("198.51.100.4:1"));
  EXPECT_TRUE(is_served(four));
  two.reset();
  EXPECT_TRUE(becomes_idle(server));
}

TEST(Limits, AFloodOfOneAddressIsOneEventAndManyCounts) {
  RunningServer server{behind_proxy(R"("connection_ip_block_list":["198.51.100.0/24"])")};
  for (int i = 0; i < 20; ++i) {
    RawSocket socket = arrive(server, v2_header("198.51.100.7:" + std::to_string(1000 + i)));
    EXPECT_TRUE(is_refused(socket));
  }
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(rejections(server, Reason::ip_block_list), 20u);
  int events = 0;
  while (auto event = server.events->next(0)) events += (*event)->type() == EventType::connection_rejected;
  EXPECT_EQ(events, 1);
}

TEST(Limits, LiveSessionsHaveACeiling) {
  ServerSetup setup;
  setup.extra = R"(,"limits":{"sessions":2})";
  RunningServer server{setup};
  std::string many = client_config(server.create_client("many", 3), "testing", R"(,"reconnect":{"enabled":false})");
  std::string other = client_config(server.create_client("other"), "testing", R"(,"reconnect":{"enabled":false})");
  auto first = connect(many), second = connect(many);
  for (const std::string& json : {many, other}) {
    auto third = make_tunnel(json);
    ASSERT_TRUE(third->start());
    EXPECT_EQ(third->wait_connected(kWaitMs).error().status, Status::REFUSED);
  }
  EXPECT_EQ(rejections(server, Reason::too_many_sessions), 2u);
  EXPECT_EQ(sessions_of(server).size(), 2u);
  ASSERT_TRUE(first->stop(kWaitMs));
  ASSERT_TRUE(eventually([&] { return sessions_of(server).size() == 1; }));
  auto fourth = connect(other);
  // Who replaces a session of his own needs no further place.
  auto fifth = connect(other);
  EXPECT_EQ(sessions_of(server).size(), 2u);
}

}  // namespace
}  // namespace smartvpn::testing_support
