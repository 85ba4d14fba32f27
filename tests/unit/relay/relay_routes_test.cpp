// Which target a connection reaches: by name, port, address, version of TLS; and what happens where none answers.
#include "support/hello_bytes.hpp"
#include "support/relay_bench.hpp"

namespace smartvpn::relay {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the harness of these tests

json matching(json match, uint16_t port, json action = json::object()) {
  json out = route(to(port), std::move(action));
  out["match"] = std::move(match);
  return out;
}

Bytes hello_for(const char* name) {
  using namespace hello_testing;  // NOLINT(google-build-using-namespace): a builder of bytes
  return hello(server_name(name) + supported_versions({0x0304, 0x0303}));
}

std::string request(const std::string& host) { return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"; }

// Which of the targets the client is brought to.
int reached(std::initializer_list<RawListener*> targets) {
  for (int i = 0; i < 400; ++i) {
    int index = 0;
    for (RawListener* target : targets) {
      if (target->has_one(5)) {
        target->accept();
        return index;
      }
      ++index;
    }
  }
  return -1;
}

TEST(RelayRoutes, TheHostOfARequestDecidesAndAllOfItReachesTheTarget) {
  RawListener exact, wild, other;
  RunningRelay relay(relay_config(json::array({matching({{"domains", {"*"}}}, other.port()),
                                               matching({{"domains", {"*.example.com"}}}, wild.port()),
                                               matching({{"domains", {"a.example.com"}}}, exact.port())})));
  for (auto& [host, target] : std::vector<std::pair<std::string, RawListener*>>{{"a.example.com", &exact},
                                                                                {"A.Example.COM:80", &exact},
                                                                                {"b.example.com", &wild},
                                                                                {"example.com", &other}}) {
    RawSocket client(relay.port());
    client.send(request(host));
    RawSocket server = target->accept();
    EXPECT_EQ(server.read(request(host).size()), request(host));
    EXPECT_EQ(relay.relay->connections()->back().host, host == "A.Example.COM:80" ? "a.example.com" : host);
  }
}

TEST(RelayRoutes, TheNameInAClientHelloDecides) {
  RawListener a, b;
  RunningRelay relay(relay_config(
      json::array({matching({{"domains", {"a.test"}}}, a.port()), matching({{"domains", {"b.test"}}}, b.port())})));
  for (int cut : {0, 1, 100}) {
    const Bytes hello = hello_for("b.test");
    RawSocket client(relay.port());
    if (cut == 1) {
      client.send_slowly(hello);
    } else {
      client.send(ByteView(hello).first(static_cast<size_t>(cut)));
      client.send(ByteView(hello).subspan(static_cast<size_t>(cut)));
    }
    RawSocket server = b.accept();
    EXPECT_EQ(server.read(hello.size()), as_text(hello)) << "not a byte of it is touched";
  }
}

TEST(RelayRoutes, AnUnknownNameTakesNoRouteWithDomains) {
  RawListener named, any;
  RunningRelay relay(
      relay_config(json::array({matching({{"domains", {"*"}}}, named.port()), matching(json::object(), any.port())})));
  RawSocket client(relay.port());
  client.send("SSH-2.0-OpenSSH_9.6\r\n");
  EXPECT_EQ(reached({&named, &any}), 1);
}

TEST(RelayRoutes, WhoWaitsForTheServerToSpeakGetsTheRouteWithoutANameInTheEnd) {
  RawListener named, any;
  json more = {{"timeouts", {{"first_bytes_ms", 150}}}};
  RunningRelay relay(relay_config(
      json::array({matching({{"domains", {"a.test"}}}, named.port()), matching(json::object(), any.port())}), {},
      more));
  RawSocket client(relay.port());
  RawSocket server = any.accept();
  server.send("220 ready\r\n");
  EXPECT_EQ(client.read(11), "220 ready\r\n");
  RawSocket dawdler(relay.port());
  dawdler.send("GET / HT");
  dawdler.read_to_end();
  EXPECT_EQ(relay.rejected(), "first_bytes_timeout");
}

TEST(RelayRoutes, NoRouteIsARefusal) {
  RawListener target;
  RunningRelay relay(relay_config(matching({{"domains", {"a.test"}}}, target.port())));
  RawSocket client(relay.port());
  client.send(request("b.test"));
  client.read_to_end();
  EXPECT_EQ(client.ending(), Ending::reset);
  EXPECT_EQ(relay.rejected(), "no_route");
}

TEST(RelayRoutes, PriorityComesFirstAndTheRealAddressCounts) {
  RawListener special, plain, urgent;
  json first = matching({{"client_ip", {"198.51.100.0/24"}}}, special.port());
  json second = matching(json::object(), plain.port());
  json third = matching({{"client_ip", {"198.51.100.9"}}}, urgent.port());
  third["priority"] = 5;
  RunningRelay relay(relay_config(json::array({second, first, third}),
                                  {{"accept_proxy_protocol", "any"}, {"trusted_proxies", {"127.0.0.1"}}}));
  auto came = [&](const std::string& from) {
    RawSocket client(relay.port());
    client.send("PROXY TCP4 " + from + " 203.0.113.9 1 443\r\n");
    return reached({&special, &plain, &urgent});
  };
  EXPECT_EQ(came("198.51.100.7"), 0);
  EXPECT_EQ(came("192.0.2.1"), 1);
  EXPECT_EQ(came("198.51.100.9"), 2);
}

TEST(RelayRoutes, SeveralPortsAndPortsThatArePreserved) {
  RawListener taken;
  const uint16_t port = taken.port();
  json config = {{"listen", {{{"address", "127.0.0.2"}, {"port", port}}}},
                 {"routes", {{{"action", {{"targets", {{{"host", "127.0.0.1"}, {"port", "preserve"}}}}}}}}}};
  RunningRelay relay(config);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  inet_pton(AF_INET, "127.0.0.2", &at.sin_addr);
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  taken.accept();
  ::close(fd);
}

TEST(RelayRoutes, ARefusedTargetClosesTheClientAtOnce) {
  RawListener gone;
  const uint16_t port = gone.port();
  gone.close();
  RunningRelay relay(relay_config(route(to(port))));
  RawSocket client(relay.port());
  const Time begun = monotonic_now();
  client.read_to_end();
  EXPECT_LT(monotonic_now() - begun, seconds(4)) << "not after the connect timeout";
  EXPECT_EQ(relay.rejected(), "target_unreachable");
  EXPECT_EQ(relay.relay->stats()->total.target_failures, 1u);
}

TEST(RelayRoutes, ATargetThatFailsIsLeftOutAndTheNextOneServes) {
  RawListener good, gone;
  const uint16_t bad = gone.port();
  gone.close();
  RunningRelay relay(relay_config(route(json::array({to(bad), to(good.port())}))));
  for (int i = 0; i < 4; ++i) {
    RawSocket client(relay.port());
    client.send("x");
    RawSocket server = good.accept();
    EXPECT_EQ(server.read(1), "x");
  }
  EXPECT_EQ(relay.relay->stats()->total.target_failures, 1u) << "it is tried again after a while only";
  const auto down = relay.event(telemetry::EventType::target_changed);
  EXPECT_STREQ(down->text("health"), "down");
  EXPECT_EQ(down->text("target"), "127.0.0.1:" + std::to_string(bad));
}

TEST(RelayRoutes, RoundRobinAndLeastConnections) {
  RawListener a, b;
  RunningRelay turns(relay_config(route(json::array({to(a.port()), to(b.port())}))));
  int reached_a = 0;
  for (int i = 0; i < 6; ++i) {
    RawSocket client(turns.port());
    reached_a += reached({&a, &b}) == 0;
  }
  EXPECT_EQ(reached_a, 3);
  RunningRelay least(
      relay_config(route(json::array({to(a.port()), to(b.port())}), {{"balance", "least_connections"}})));
  RawSocket stays(least.port());
  const bool busy_is_a = a.has_one(200);
  RawListener &busy = busy_is_a ? a : b, &idle = busy_is_a ? b : a;
  RawSocket held = busy.accept();
  for (int i = 0; i < 3; ++i) {
    RawSocket client(least.port());
    RawSocket server = idle.accept();
    client.close();
    server.read_to_end();
    while (least.relay->connections()->size() > 1) ::usleep(1000);
  }
  EXPECT_FALSE(busy.has_one(10));
}

TEST(RelayRoutes, NamesAreLookedUpAndUnknownOnesRefuse) {
  RawListener target;
  RunningRelay relay(relay_config(route({{"host", "localhost"}, {"port", target.port()}})));
  RawSocket client(relay.port());
  client.send("x");
  RawSocket server = target.accept();
  EXPECT_EQ(server.read(1), "x");
  RunningRelay lost(relay_config(route({{"host", "no-such-name.invalid"}, {"port", 1}})));
  RawSocket other(lost.port());
  other.read_to_end();
  EXPECT_EQ(lost.rejected(), "target_unreachable");
}

TEST(RelayRoutes, TheNewestVersionOfTlsDecides) {
  RawListener modern, old;
  RunningRelay relay(relay_config(
      json::array({matching({{"tls_versions", {"TLSv1.3"}}}, modern.port()), matching(json::object(), old.port())})));
  RawSocket tls(relay.port());
  tls.send(hello_for("a.test"));
  EXPECT_EQ(reached({&modern, &old}), 0);
  RawSocket plain(relay.port());
  plain.send(request("a.test"));
  EXPECT_EQ(reached({&modern, &old}), 1);
}

}  // namespace
}  // namespace smartvpn::relay
