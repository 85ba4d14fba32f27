// TLS that ends in the relay, and a request in it: where its Host leads on to another route, and where it must not.
#include "proxyproto/parser.hpp"
#include "proxyproto/tlv.hpp"
#include "support/relay_tls_bench.hpp"

namespace smartvpn::relay {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the harness of these tests

// `front` is for who asks for no name that there is a route for.
struct RelayTlsHost : RelayTlsBench {
  RawListener front, other;

  json named(json match, uint16_t port, json tls = json::object(), json action = json::object()) {
    json out = ending(port, {&a}, std::move(tls), std::move(action));
    out["match"] = std::move(match);
    return out;
  }
  json named(const char* domain, uint16_t port) { return named({{"domains", {domain}}}, port); }
  // With these limits: `wait_ms` for first bytes.
  static json within(uint32_t wait_ms, json routes) {
    return relay_config(std::move(routes), {}, {{"timeouts", {{"first_bytes_ms", wait_ms}}}});
  }
  // Asks for `name`, "" for none, and believes any certificate.
  static TlsEnd open(const RunningRelay& relay, const std::string& name = {}, std::vector<std::string> alpn = {}) {
    net::TlsClientOptions options;
    options.any_certificate = true;
    options.server_name = name;
    options.alpn = std::move(alpn);
    TlsEnd out(RawSocket(relay.port()), *TlsContext::client(options));
    EXPECT_TRUE(out.shake_hands()) << out.machine().error();
    return out;
  }
  static std::string asking(const std::string& host) { return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"; }
  // `text` comes out there, all of it, and at no other.
  void expect_at(RawListener& there, const std::string& text) {
    RawSocket server = there.accept();
    EXPECT_EQ(server.read(text.size()), text);
    for (RawListener* one : {&front, &target, &other}) EXPECT_FALSE(one->has_one(0));
  }
};

constexpr uint32_t kLong = 60'000;  // longer than a test waits

TEST_F(RelayTlsHost, DecidesWhereTheHelloNamesNoRoute) {
  RunningRelay relay(
      within(kLong, {ending(front.port(), {&a}), named("a.test", target.port()), named("*.b.test", other.port())}));
  for (const char* name : {"", "else.test"})
    for (auto& [host, there] : std::vector<std::pair<std::string, RawListener*>>{
             {"a.test", &target}, {"X.b.test:443", &other}, {"third.test", &front}, {"192.0.2.1", &front}}) {
      TlsEnd client = open(relay, name);
      ASSERT_TRUE(client.send(asking(host)));
      expect_at(*there, asking(host));
    }
}

TEST_F(RelayTlsHost, MayComeByteByByteAndIsTold) {
  RunningRelay relay(within(
      kLong, {ending(front.port(), {&a}),
              named({{"domains", {"a.test"}}}, target.port(), json::object(), {{"send_proxy_protocol", "v2"}})}));
  TlsEnd client = open(relay);
  for (char c : asking("a.test")) ASSERT_TRUE(client.send({&c, 1}));
  RawSocket server = target.accept();
  proxyproto::Parser parser(proxyproto::Mode::v2);
  size_t used = 0;
  while (parser.feed(as_bytes(server.read(1)), used) == proxyproto::ParseResult::need_more) {
  }
  EXPECT_EQ(proxyproto::authority(parser.header()), "a.test");
  EXPECT_TRUE(proxyproto::unique_id(parser.header())) << "as this route says, and not the first one";
  EXPECT_EQ(server.read(asking("a.test").size()), asking("a.test"));
  server.send("answer");
  EXPECT_EQ(client.read(6), "answer");
  const auto connections = relay.relay->connections();
  ASSERT_EQ(connections->size(), 1u);
  EXPECT_EQ(connections->front().host, "a.test");
  EXPECT_EQ(connections->front().route, "route-1");
}

TEST_F(RelayTlsHost, DoesNotDecideWhereTheHelloHasNamedARoute) {
  // The other one comes first, and would be taken if the Host decided.
  RunningRelay relay(
      within(kLong, {ending(front.port(), {&a}), named("b.test", other.port()), named("a.test", target.port())}));
  TlsEnd client = dial(relay, "a.test");
  ASSERT_TRUE(client.shake_hands());
  RawSocket server = target.accept();  // who may want to speak first: nothing is waited for
  server.send("220 ready");
  EXPECT_EQ(client.read(9), "220 ready");
  client.send(asking("b.test"));
  EXPECT_EQ(server.read(asking("b.test").size()), asking("b.test"));
  EXPECT_FALSE(other.has_one(0));
}

TEST_F(RelayTlsHost, WhatIsNoRequestGoesOnAtOnceAndSilenceInTheEnd) {
  {
    RunningRelay relay(within(kLong, {ending(front.port(), {&a}), named("a.test", target.port())}));
    for (const std::string& text :
         std::vector<std::string>{"SSH-2.0-x\r\n", "\x16\x03\x01", "GET / HTTP/1.1\r\n\r\n",
                                  "GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
                                  "GET / HTTP/1.1\r\nHost: a.test\r\nx: " + std::string(20'000, 'x')}) {
      TlsEnd client = open(relay);
      ASSERT_TRUE(client.send(text));
      expect_at(front, text);
    }
    TlsEnd client = open(relay);
    client.send("GET / HTTP/1.1\r\nHost: a.te");
    client.close();
    expect_at(front, "GET / HTTP/1.1\r\nHost: a.te");
  }
  RunningRelay relay(within(100, {ending(front.port(), {&a}), named("a.test", target.port())}));
  TlsEnd silent = open(relay);
  RawSocket server = front.accept();
  server.send("220 ready");
  EXPECT_EQ(silent.read(9), "220 ready");
  TlsEnd slow = open(relay);
  slow.send("GET / HTTP/1.1\r\nHost: a.te");
  slow.read_to_end();
  EXPECT_EQ(relay.rejected(), "first_bytes_timeout");
  EXPECT_FALSE(front.has_one(0));
}

TEST_F(RelayTlsHost, AClientThatLeavesWithoutARequestLeavesNothing) {
  RunningRelay relay(within(kLong, {ending(front.port(), {&a}), named("a.test", target.port())}));
  for (const bool orderly : {true, false}) {
    TlsEnd client = open(relay);
    if (orderly) client.close();
    if (!orderly) client.send("GET /");
    client.socket().close();
  }
  relay.expect_empty();
}

TEST_F(RelayTlsHost, WhatWasDecryptedNeverGoesWhereTlsPasses) {
  json passing = route(to(target.port()));
  passing["match"] = {{"domains", {"a.test"}}};
  RunningRelay relay(within(kLong, {ending(front.port(), {&a}), passing}));
  TlsEnd client = open(relay);
  RawSocket server = front.accept();  // nothing is waited for, either
  client.send(asking("a.test"));
  EXPECT_EQ(server.read(asking("a.test").size()), asking("a.test"));
  RunningRelay wild(within(kLong, {ending(front.port(), {&a}), passing, named("*.test", other.port())}));
  TlsEnd second = open(wild);
  second.send(asking("a.test"));
  expect_at(front, asking("a.test"));
  TlsEnd third = open(wild);
  third.send(asking("b.test"));
  expect_at(other, asking("b.test"));
}

TEST_F(RelayTlsHost, NobodyGetsToARouteThatIsNotForThem) {
  for (const json& closed : {json{{"client_ip", {"192.0.2.0/24"}}}, json{{"tls_versions", {"TLSv1.2"}}},
                             json{{"ports", {1}}}, json{{"protocol", "tcp"}}}) {
    json match = closed;
    match["domains"] = {"a.test"};
    RunningRelay relay(
        within(kLong, {ending(front.port(), {&a}), named(match, target.port()), named("b.test", other.port())}));
    TlsEnd client = open(relay);
    client.send(asking("a.test"));
    expect_at(match.contains("protocol") ? target : front, asking("a.test"));
  }
}

TEST_F(RelayTlsHost, APriorityThatComesFirstIsNotGoneRound) {
  json first = ending(front.port(), {&a});
  first["priority"] = 1;
  RunningRelay relay(within(kLong, {first, named("a.test", target.port())}));
  TlsEnd client = open(relay);
  RawSocket server = front.accept();  // nothing is waited for
  client.send(asking("a.test"));
  EXPECT_EQ(server.read(asking("a.test").size()), asking("a.test"));
}

TEST_F(RelayTlsHost, TheProtocolAgreedOnIsOneThatTheOtherRouteKnows) {
  const json both = {{"alpn", {"h2", "http/1.1"}}};
  RunningRelay relay(within(kLong, {ending(front.port(), {&a}, both),
                                    named({{"domains", {"a.test"}}}, target.port(), {{"alpn", {"http/1.1"}}}),
                                    named({{"domains", {"b.test"}}}, other.port(), {{"alpn", {"h2"}}})}));
  TlsEnd client = open(relay, "", {"http/1.1"});
  client.send(asking("a.test"));
  expect_at(target, asking("a.test"));
  TlsEnd second = open(relay, "", {"http/1.1"});
  second.send(asking("b.test"));
  expect_at(front, asking("b.test"));
  TlsEnd third = open(relay, "", {"h2"});
  front.accept();  // HTTP/2 is not read, so nothing is waited for
}

TEST_F(RelayTlsHost, CountsInTheRouteItLedToWithItsLimit) {
  json narrow = named("a.test", target.port());
  narrow["max_connections"] = 1;
  json first = ending(front.port(), {&a});
  first["max_connections"] = 1;
  RunningRelay relay(within(kLong, {first, narrow}));
  TlsEnd client = open(relay);
  client.send(asking("a.test"));
  RawSocket server = target.accept();
  EXPECT_EQ(server.read(3), "GET");
  TlsEnd second = open(relay);  // the first one's place is free again
  second.send(asking("a.test"));
  second.read_to_end();
  EXPECT_EQ(relay.rejected(), "too_many_connections");
  TlsEnd third = open(relay);
  third.send(asking("b.test"));
  expect_at(front, asking("b.test"));
  relay.expect_relayed(2);
  const auto stats = *relay.relay->stats();
  EXPECT_EQ(stats.routes[0].counters.connections_relayed, 1u);
  EXPECT_EQ(stats.routes[1].counters.connections_relayed, 1u);
}

TEST_F(RelayTlsHost, TheOtherRoutesTargetIsMetAsThatRouteSays) {
  json tls = {{"mode", "terminate-and-reencrypt"},
              {"target", {{"ca", authority.certificate}, {"server_name", "x.b.test"}}}};
  RunningRelay relay(within(kLong, {ending(front.port(), {&a}),
                                    named({{"domains", {"a.test"}}}, target.port(), tls, {{"half_open", true}})}));
  TlsEnd client = open(relay);
  client.send(asking("a.test"));
  net::TlsServerOptions options;
  options.certificate = b.certificate;
  options.key = b.key;
  TlsEnd server(target.accept(), *TlsContext::server(options));
  ASSERT_TRUE(server.shake_hands()) << server.machine().error();
  EXPECT_EQ(server.read(asking("a.test").size()), asking("a.test"));
  client.close();
  EXPECT_EQ(server.read_to_end(), "");
  server.send("still open");
  EXPECT_EQ(client.read(10), "still open");
}

}  // namespace
}  // namespace smartvpn::relay
