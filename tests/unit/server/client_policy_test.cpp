// Phase 2 and what follows: lists of a client against real addresses, expiry, addresses, sessions.
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

using telemetry::EventType;

std::string from(const std::string& source, const std::string& destination = "203.0.113.1:443") {
  return R"(,"proxy_protocol":{"send":"v2","source":")" + source + R"(","destination":")" + destination + "\"}" +
         kNoReconnect;
}

// "" when admitted, else what the server says about the refusal.
std::string outcome(RunningServer& server, const std::string& json) {
  auto tunnel = make_tunnel(json);
  if (!tunnel || !tunnel->start()) return "not started";
  if (tunnel->wait_connected(kWaitMs)) return "";
  auto event = server.wait(EventType::connection_rejected);
  return event ? event->text("reason") : "no event";
}

TEST(ClientPolicy, ListsAreHeldAgainstTheRealAddress) {
  ServerSetup setup;
  setup.listen = proxied_listener("v2");
  RunningServer server{setup};
  registry::ClientSpec spec;
  spec.id = "alice";
  spec.security.ip_allow_list = {"198.51.100.0/24", "2001:db8:1::/48"};
  spec.security.ip_block_list = {"198.51.100.66", "2001:db8:1:bad::/64"};
  const std::string alice = server.create_client(spec);
  const std::string v6 = "[2001:db8::443]:443";
  auto at = [&](const std::string& extra) { return outcome(server, client_config(alice, "testing", extra)); };
  EXPECT_EQ(at(from("198.51.100.7:1")), "");
  EXPECT_EQ(at(from("198.51.100.66:1")), "client_ip_block_list");
  EXPECT_EQ(at(from("198.51.101.1:1")), "client_ip_not_allowed");
  EXPECT_EQ(at(from("[2001:db8:1::7]:1", v6)), "");
  EXPECT_EQ(at(from("[2001:db8:1:bad::7]:1", v6)), "client_ip_block_list");
  EXPECT_EQ(at(from("[2001:db8:2::7]:1", v6)), "client_ip_not_allowed");
  EXPECT_TRUE(becomes_idle(server));
}

TEST(ClientPolicy, AMappedAddressIsItsIpv4) {
  ServerSetup setup;
  setup.listen = proxied_listener("v2");
  RunningServer server{setup};
  registry::ClientSpec spec;
  spec.id = "alice";
  spec.security.ip_allow_list = {"198.51.100.0/24"};
  spec.security.ip_block_list = {"::ffff:198.51.100.66"};
  SecretKey key = key_of(server.create_client(spec));
  struct Case {
    const char* source;
    bool admitted;
  };
  for (auto [source, admitted] :
       {Case{"198.51.100.7", true}, Case{"198.51.100.66", false}, Case{"198.51.101.7", false}}) {
    WireClient client(RawSocket(server.port()), server.public_key_, key.clone());
    EXPECT_EQ(client.connect(v2_mapped_header(source)), admitted) << source;
    if (!admitted) continue;
    auto up = server.wait(EventType::session_up);
    ASSERT_TRUE(up);
    EXPECT_STREQ(up->text("remote_addr"), "198.51.100.7:4660");
  }
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(rejections(server, Reason::client_ip_block_list), 1u);
  EXPECT_EQ(rejections(server, Reason::client_ip_not_allowed), 1u);
}

TEST(ClientPolicy, AnExpiredClientIsToldAndALiveOneIsCut) {
  RunningServer server{ServerSetup()};
  registry::ClientSpec spec;
  spec.id = "late";
  spec.expires_at_ms = wall_clock_ms() - 1;
  std::string late = client_config(server.create_client(spec), "testing", kNoReconnect);
  EXPECT_EQ(outcome(server, late), "client_expired");

  spec.id = "soon";
  spec.expires_at_ms = wall_clock_ms() + 600;
  auto tunnel = connect(client_config(server.create_client(spec), "testing"));
  ASSERT_TRUE(tunnel);
  auto down = server.wait(EventType::session_down);
  ASSERT_TRUE(down);
  EXPECT_STREQ(down->text("reason"), "client_expired");
  EXPECT_GE(down->time_ms(), spec.expires_at_ms);
  EXPECT_LT(down->time_ms(), spec.expires_at_ms + 3000);
  ASSERT_TRUE(eventually([&] { return tunnel->state() == tunnel::State::waiting; }));
  EXPECT_EQ(tunnel->info().last_reason, Reason::client_expired);
  EXPECT_EQ(tunnel->wait_connected(kWaitMs).error().status, Status::REFUSED);  // and never tries again
  EXPECT_TRUE(becomes_idle(server));
}

TEST(ClientPolicy, AnAddressIsFreeAgainWhenItsSessionIsOver) {
  ServerSetup setup;
  setup.subnets = R"("10.8.0.0/30")";
  RunningServer server{setup};
  std::string alice = client_config(server.create_client("alice"), "testing", kNoReconnect);
  std::string bob = client_config(server.create_client("bob"), "testing", kNoReconnect);
  auto first = connect(alice);
  ASSERT_TRUE(first);
  EXPECT_EQ(outcome(server, bob), "no_address_left");
  ASSERT_TRUE(first->stop(kWaitMs));
  ASSERT_TRUE(becomes_idle(server));
  auto second = connect(bob);
  EXPECT_EQ(address_v4(*second).text(), "10.8.0.2");
}

TEST(ClientPolicy, AHalfOpenConnectionHoldsItsAddressOnlyAsLongAsItLives) {
  ServerSetup setup;
  setup.subnets = R"("10.8.0.0/30")";
  RunningServer server{setup};
  std::string alice = server.create_client("alice");
  std::string bob = client_config(server.create_client("bob"), "testing", kNoReconnect);
  {
    WireClient half(RawSocket(server.port()), server.public_key_, key_of(alice));
    ASSERT_TRUE(half.upgrade() && half.hear_hello() && half.say_next() && half.hear());
    EXPECT_EQ(outcome(server, bob), "no_address_left");
    // The client's own second attempt shares the promise.
    auto tunnel = connect(client_config(alice, "testing", kNoReconnect));
    EXPECT_EQ(address_v4(*tunnel).text(), "10.8.0.2");
    // The older one comes too late: the newer session has its address.
    ASSERT_TRUE(half.say_next());
    while (half.hear()) continue;
    ASSERT_TRUE(half.closed);
    EXPECT_EQ(half.closed->reason, Reason::replaced);
  }
  ASSERT_TRUE(becomes_idle(server));
  EXPECT_EQ(outcome(server, bob), "");
}

TEST(ClientPolicy, TwoSessionsAtATimeAndTheThirdReplacesTheOldest) {
  RunningServer server{ServerSetup()};
  std::string json = client_config(server.create_client("alice", 2), "testing", kNoReconnect);
  auto first = connect(json), second = connect(json);
  EXPECT_NE(address_v4(*first), address_v4(*second));
  EXPECT_EQ(sessions_of(server).size(), 2u);
  auto up = server.wait(EventType::session_up);
  ASSERT_TRUE(up);
  auto third = connect(json);
  auto down = server.wait(EventType::session_down);
  ASSERT_TRUE(down);
  EXPECT_STREQ(down->text("reason"), "replaced");
  EXPECT_EQ(down->u64("session_id"), up->u64("session_id"));
  EXPECT_EQ(address_v4(*third), address_v4(*first));
  EXPECT_EQ(sessions_of(server).size(), 2u);
}

// The testing engine's echo of a packet above the session's MTU, with "do not fragment", made the
// engine answer in the middle of its own answer.
TEST(ClientPolicy, AnEchoAboveTheMtuIsAnsweredWithTooBigAndHarmsNobody) {
  ServerSetup setup;
  setup.network = R"(,"mtu":1280)";
  RunningServer server{setup};
  auto tunnel = connect(client_config(server.create_client("alice"), "host"));
  ASSERT_TRUE(tunnel);
  WireClient client(RawSocket(server.port()), server.public_key_, key_of(server.create_client("bob")));
  ASSERT_TRUE(client.connect());
  auto gateway = *inet::IpAddress::parse("10.8.0.1");
  inet::IpAddress own;
  ASSERT_TRUE(eventually([&] { return sessions_of(server).size() == 2; }));
  for (const auto& session : sessions_of(server))
    if (session.client_id == "bob") own = session.addresses.at(0);
  Bytes request = echo_request(own, gateway, 1400);
  request[6] |= 0x40;  // do not fragment
  store_be16(&request[10], 0);
  store_be16(&request[10], inet::checksum_of(ByteView(request).first(20)));
  PacketPool pool;
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(client.initiator().send(pool.copy_of(request), monotonic_now()), Drop::none);
    client.say_next();
  }
  EXPECT_TRUE(eventually([&] {
    for (const auto& session : sessions_of(server))
      if (session.client_id == "bob" && session.counters.drops[static_cast<size_t>(Drop::too_big)] == 20) return true;
    return false;
  }));
  write_packet(*tunnel, echo_request(address_v4(*tunnel), gateway));
  EXPECT_FALSE(read_packet(*tunnel).empty());
}

}  // namespace
}  // namespace smartvpn::testing_support
