// A WireGuard listener behind UDP proxies: the PROXY header in front of each datagram says who the client is, if the
// proxy is trusted, and a running server can be told of others.
#include "support/stranger.hpp"
#include "support/wireguard_end.hpp"

namespace smartvpn::testing_support {
namespace {

using telemetry::EventType;

std::string udp_listener_behind(const std::string& trusted, const std::string& extra = {}) {
  return R"({"transport":"wireguard","address":"127.0.0.1","port":0,"proxy_protocol":{"mode":"v2",)"
         R"("trusted_proxies":[)" +
         trusted + "]" + extra + "}}";
}

// As a UDP proxy puts it in front of what 192.0.2.1, or the address given, has sent.
Bytes datagram_header(const std::string& source = "192.0.2.1:1111") {
  Bytes header = v2_header(source);
  header[13] = static_cast<uint8_t>((header[13] & 0xf0) | 0x02);
  return header;
}

// A server whose only proxy is the client's relay, at 127.0.0.1.
struct ProxiedClient {
  explicit ProxiedClient(const std::string& listen = udp_listener_behind(R"("127.0.0.1")"),
                         const std::string& extra = {})
      : setup(setup_of(listen, extra)),
        server(setup),
        alice(wireguard_client_of(server, "alice"), WireguardEnd::Way::relayed),
        relay(alice.relay()) {
    relay.prefix = datagram_header();
  }
  static ServerSetup setup_of(const std::string& listen, const std::string& extra) {
    ServerSetup out = wireguard_setup(listen);
    out.extra = extra;
    return out;
  }
  void ask() { alice.send(echo_request(alice.address(), *inet::IpAddress::parse("10.8.0.1"))); }
  telemetry::WireguardStats counters() { return *server.server->stats()->wireguard; }
  template <class Fn>
  bool counts(Fn&& counter, uint64_t value = 1) {
    return alice.until([&] { return counter(counters()) == value; });
  }
  void reconfigure(const std::string& listen) {
    setup.listen = listen;
    auto config = config::parse_server_config(setup.json());
    ASSERT_TRUE(config) << config.error().path << " " << config.error().text;
    ASSERT_TRUE(server.server->reconfigure(std::move(*config), {}));
  }
  // Where the only session is now, as "socket's, client's".
  std::string places() {
    const auto sessions = sessions_of(server);
    if (sessions.size() != 1) return std::to_string(sessions.size()) + " sessions";
    return sessions[0].peer_addr.text() + ", " + (sessions[0].remote_addr ? sessions[0].remote_addr->text() : "");
  }
  std::string at(size_t source, const std::string& real) { return relay.source(source).text() + ", " + real; }

  ServerSetup setup;
  RunningServer server;
  WireguardEnd alice;
  testing::WireguardRelay& relay;
};

TEST(WireguardProxyServer, TheHeadersAddressIsTheSessionsRealOne) {
  ProxiedClient on;
  EXPECT_TRUE(on.alice.hears_an_echo()) << "answers go back by way of the proxy";
  auto up = on.server.wait(EventType::session_up);
  ASSERT_TRUE(up);
  EXPECT_STREQ(up->text("remote_addr"), "192.0.2.1:1111");
  EXPECT_EQ(up->text("peer_addr"), on.relay.source(0).text());
  EXPECT_EQ(on.places(), on.at(0, "192.0.2.1:1111"));
  EXPECT_EQ(on.counters().untrusted_proxy + on.counters().bad_proxy_header + on.counters().malformed, 0u);
}

TEST(WireguardProxyServer, AClientThatMovesBehindItIsToldOfByItsRealAddress) {
  ProxiedClient on;
  ASSERT_TRUE(on.alice.hears_an_echo());
  on.relay.prefix = datagram_header("[2001:db8::7]:2222");
  ASSERT_TRUE(on.alice.hears_an_echo());
  auto roamed = on.server.wait(EventType::session_roamed);
  ASSERT_TRUE(roamed);
  EXPECT_STREQ(roamed->text("remote_addr"), "[2001:db8::7]:2222");
  EXPECT_EQ(roamed->text("peer_addr"), on.relay.source(0).text());
  EXPECT_EQ(on.places(), on.at(0, "[2001:db8::7]:2222"));
}

TEST(WireguardProxyServer, ListsAreAboutTheRealAddress) {
  ProxiedClient on(udp_listener_behind(R"("127.0.0.1")"),
                   R"(,"security":{"connection_ip_block_list":["198.51.100.0/24"]})");
  ASSERT_TRUE(on.server.server->client_update("alice", R"({"security":{"ip_allow_list":["192.0.2.0/24"]}})", 0));
  on.relay.prefix = datagram_header("198.51.100.7:1111");
  on.ask();
  EXPECT_TRUE(on.counts([](const auto& c) { return c.blocked_source; }));
  EXPECT_EQ(on.counters().handshakes_in, 0u);
  WireguardEnd allowed(on.server.server->client_rotate("alice", {})->wireguard_conf, WireguardEnd::Way::relayed);
  allowed.relay().prefix = datagram_header();
  EXPECT_TRUE(allowed.hears_an_echo());
}

TEST(WireguardProxyServer, AHeaderFromWhoIsNotTrustedIsDroppedByName) {
  ProxiedClient on(udp_listener_behind(R"("127.0.0.9")"));
  on.ask();
  EXPECT_TRUE(on.counts([](const auto& c) { return c.untrusted_proxy; }));
  EXPECT_EQ(on.counters().handshakes_in, 0u);
  EXPECT_EQ(on.counters().bad_proxy_header, 0u);
  EXPECT_NE(on.server.server->stats()->prometheus().find(
                "smartvpn_wireguard_datagrams_dropped_total{reason=\"untrusted_proxy\"} 1"),
            std::string::npos);
}

TEST(WireguardProxyServer, ALiveSessionIsNotFollowedToAProxyThatIsNotTrusted) {
  ProxiedClient on;
  ASSERT_TRUE(on.alice.hears_an_echo());
  on.relay.use = on.relay.add_source(*inet::IpAddress::parse("127.0.0.77"));
  on.ask();
  EXPECT_TRUE(on.counts([](const auto& c) { return c.untrusted_proxy; }));
  EXPECT_EQ(on.places(), on.at(0, "192.0.2.1:1111"));
}

TEST(WireguardProxyServer, ATrustedProxyHasToSendAHeader) {
  ProxiedClient on;
  on.relay.prefix.clear();
  on.ask();
  EXPECT_TRUE(on.counts([](const auto& c) { return c.bad_proxy_header; }));
  on.relay.to_server(v2_header("192.0.2.1:1111"), 0);  // a connection's
  EXPECT_TRUE(on.counts([](const auto& c) { return c.bad_proxy_header; }, 2));
  EXPECT_EQ(on.counters().handshakes_in, 0u);
  EXPECT_EQ(on.counters().untrusted_proxy, 0u);
}

TEST(WireguardProxyServer, WithoutAnAddressIsAcceptedOrRefusedAsConfigured) {
  ProxiedClient on;
  on.relay.prefix = proxyproto::testing::v2(0x21, 0x00, {});
  EXPECT_TRUE(on.alice.hears_an_echo());
  EXPECT_EQ(on.places(), on.at(0, ""));
  ProxiedClient refusing(udp_listener_behind(R"("127.0.0.1")", R"(,"addressless":"refuse")"));
  refusing.relay.prefix = proxyproto::testing::v2(0x21, 0x00, {});
  refusing.ask();
  EXPECT_TRUE(refusing.counts([](const auto& c) { return c.blocked_source; }));
  EXPECT_EQ(refusing.counters().handshakes_in, 0u);
}

TEST(WireguardProxyServer, OtherProxiesAreTrustedWhileItRuns) {
  ProxiedClient on;
  ASSERT_TRUE(on.alice.hears_an_echo());
  const size_t other = on.relay.use = on.relay.add_source(*inet::IpAddress::parse("127.0.0.77"));
  on.ask();
  ASSERT_TRUE(on.counts([](const auto& c) { return c.untrusted_proxy; }));
  on.reconfigure(udp_listener_behind(R"("127.0.0.64/26")"));
  EXPECT_TRUE(on.alice.hears_an_echo());
  EXPECT_EQ(on.places(), on.at(other, "192.0.2.1:1111"));
  on.relay.use = 0;  // which is one no more
  on.ask();
  EXPECT_TRUE(on.counts([](const auto& c) { return c.untrusted_proxy; }, 2));
  EXPECT_EQ(on.places(), on.at(other, "192.0.2.1:1111"));
}

TEST(WireguardProxyServer, HeadersAreExpectedOrNotFromNowOn) {
  ProxiedClient on(kWireguardListener);
  on.ask();  // with a header, which is no message here
  ASSERT_TRUE(on.counts([](const auto& c) { return c.malformed; }));
  on.relay.prefix.clear();
  WireguardEnd& alice = on.alice;
  on.relay.to_server(on.relay.seen.front(), 0);
  ASSERT_TRUE(alice.until([&] { return sessions_of(on.server).size() == 1; }));
  ASSERT_FALSE(alice.next().empty()) << "the answer to what has waited for the session";
  ASSERT_TRUE(alice.hears_an_echo());
  EXPECT_EQ(on.places(), on.at(0, on.relay.source(0).text()));
  on.reconfigure(udp_listener_behind(R"("127.0.0.1")"));
  on.ask();
  EXPECT_TRUE(on.counts([](const auto& c) { return c.bad_proxy_header; }));
  on.relay.prefix = datagram_header();
  EXPECT_TRUE(alice.hears_an_echo()) << "the session goes on";
  EXPECT_EQ(on.places(), on.at(0, "192.0.2.1:1111"));
  on.reconfigure(kWireguardListener);
  on.relay.prefix.clear();
  EXPECT_TRUE(alice.hears_an_echo());
  EXPECT_EQ(on.places(), on.at(0, on.relay.source(0).text()));
  EXPECT_EQ(on.counters().handshakes_in, 1u);
}

}  // namespace
}  // namespace smartvpn::testing_support
