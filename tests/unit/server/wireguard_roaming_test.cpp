// A WireGuard client of a running server that goes on from another place: the host is told once, everything that shows
// the session shows the new place, and what does not authenticate, or may not come from there, changes nothing.
#include "support/wireguard_end.hpp"

namespace smartvpn::testing_support {
namespace {

using telemetry::EventPtr;
using telemetry::EventType;

inet::IpAddress loopback(const char* text = "127.0.0.1") { return *inet::IpAddress::parse(text); }

struct RoamingClient {
  RoamingClient() : server{wireguard_setup()}, alice(wireguard_client_of(server, "alice"), WireguardEnd::Way::relayed) {
    EXPECT_TRUE(alice.hears_an_echo());
    up = server.wait(EventType::session_up);
  }
  std::string place(size_t index) { return alice.relay().source(index).text(); }
  server::SessionInfo session() {
    auto sessions = server.server->sessions();
    EXPECT_TRUE(sessions && sessions->size() == 1);
    return sessions && !sessions->empty() ? sessions->front() : server::SessionInfo{};
  }
  uint64_t dropped(Drop why) { return server.server->stats()->total.traffic.drops[static_cast<size_t>(why)]; }
  // What was told of roaming until the server has stopped.
  std::vector<EventPtr> roamed() {
    EXPECT_TRUE(server.server->stop(0, kWaitMs));
    std::vector<EventPtr> out;
    for (auto event = server.events->next(kWaitMs); event; event = server.events->next(kWaitMs))
      if ((*event)->type() == EventType::session_roamed) out.push_back(*event);
    return out;
  }

  RunningServer server;
  WireguardEnd alice;
  EventPtr up;
};

TEST(WireguardRoamingServer, AnotherSourcePortIsToldOnceAndSeenEverywhere) {
  RoamingClient at;
  ASSERT_TRUE(at.up);
  EXPECT_EQ(at.up->text("peer_addr"), at.place(0));
  const size_t elsewhere = at.alice.relay().use = at.alice.relay().add_source(loopback());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(at.alice.hears_an_echo());
  EXPECT_EQ(at.alice.relay().answered_at.back(), elsewhere);
  const auto session = at.session();
  EXPECT_EQ(session.peer_addr.text(), at.place(elsewhere));
  EXPECT_EQ(session.remote_addr->text(), at.place(elsewhere));
  EXPECT_EQ(session.id, at.up->u64("session_id"));
  EXPECT_EQ(at.server.server->stats()->wireguard->handshakes_in, 1u) << "the session is the same";
  const auto told = at.roamed();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0]->u64("session_id"), at.up->u64("session_id"));
  EXPECT_EQ(told[0]->u64("listener"), 0u);
  EXPECT_STREQ(told[0]->text("client_id"), "alice");
  EXPECT_STREQ(told[0]->text("transport"), "wireguard");
  EXPECT_EQ(told[0]->text("peer_addr"), at.place(elsewhere));
  EXPECT_EQ(told[0]->text("remote_addr"), at.place(elsewhere));
}

TEST(WireguardRoamingServer, WhatDoesNotAuthenticateMovesNothing) {
  RoamingClient at;
  testing::WireguardRelay& relay = at.alice.relay();
  const size_t elsewhere = relay.add_source(loopback());
  ASSERT_EQ(wireguard::message_type(relay.seen.back()), wireguard::MessageType::data);
  const Bytes genuine = relay.seen.back();
  Bytes forged = genuine, unknown = genuine;
  forged.back() ^= 1;
  unknown[4] ^= 1;  // the receiver's index
  relay.to_server(forged, elsewhere);
  relay.to_server(unknown, elsewhere);
  relay.to_server(genuine, elsewhere);  // replayed
  ASSERT_TRUE(at.alice.until([&] { return at.dropped(Drop::replayed) == 1; }));
  EXPECT_EQ(at.dropped(Drop::decrypt_failed), 1u);
  EXPECT_EQ(at.server.server->stats()->wireguard->unknown_index, 1u);
  EXPECT_EQ(at.session().peer_addr.text(), at.place(0));
  EXPECT_TRUE(at.alice.hears_an_echo());
  EXPECT_EQ(relay.answered_at.back(), 0u);
  EXPECT_EQ(at.roamed().size(), 0u);
}

TEST(WireguardRoamingServer, ManyMovesAreToldNowAndThenAndTheLastIsToldToo) {
  constexpr size_t kMoves = 12;
  RoamingClient at;
  testing::WireguardRelay& relay = at.alice.relay();
  for (size_t i = 0; i < kMoves; ++i) {
    relay.use = relay.add_source(loopback());
    ASSERT_TRUE(at.alice.hears_an_echo());
  }
  EventPtr last;
  size_t told = 0;
  do {
    last = at.server.wait(EventType::session_roamed);
    ASSERT_TRUE(last) << "the last place was not told";
    ++told;
  } while (last->text("peer_addr") != at.place(relay.use));
  EXPECT_LT(told, kMoves) << "each would need a second of its own";
  EXPECT_EQ(at.roamed().size(), 0u);
}

TEST(WireguardRoamingServer, WhereItMayNotComeFromItIsNotFollowed) {
  RoamingClient at;
  ASSERT_TRUE(at.server.server->client_update("alice", R"({"security":{"ip_block_list":["127.0.0.77"]}})", 0));
  testing::WireguardRelay& relay = at.alice.relay();
  relay.use = relay.add_source(loopback("127.0.0.77"));
  at.alice.send(echo_request(at.alice.address(), *inet::IpAddress::parse("10.8.0.1")));
  EXPECT_TRUE(at.alice.until([&] { return at.server.server->stats()->wireguard->blocked_source == 1; }));
  EXPECT_EQ(at.session().peer_addr.text(), at.place(0));
  relay.use = 0;
  EXPECT_TRUE(at.alice.hears_an_echo());
  EXPECT_EQ(at.session().counters.inner_packets_in, 2u);
  EXPECT_EQ(at.roamed().size(), 0u);
}

}  // namespace
}  // namespace smartvpn::testing_support
