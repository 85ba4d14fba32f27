#include "relay/relay_plan.hpp"

#include <gtest/gtest.h>

namespace smartvpn::relay {
namespace {

using Expected = ListenerPlan::Header;
using Accept = config::RelayListenConfig::Accept;
using Untrusted = config::RelayListenConfig::Untrusted;

config::RelayListenConfig plan_listen(uint16_t port, const char* address = "::") {
  config::RelayListenConfig out;
  out.address = *inet::IpAddress::parse(address);
  out.ports = {{port, port}};
  return out;
}
config::RelayListenConfig plan_proxied(Accept accept, Untrusted untrusted = Untrusted::reject) {
  auto out = plan_listen(443);
  out.accept_proxy_protocol = accept;
  out.trusted_proxies = {"192.0.2.0/24", "2001:db8::/32"};
  out.untrusted = untrusted;
  return out;
}
config::RelayConfig plan_config(std::vector<config::RelayListenConfig> listen) {
  config::RelayConfig out;
  out.listen = std::move(listen);
  out.routes.emplace_back();
  out.routes[0].action.targets = {{"192.0.2.1", 80}};
  return out;
}
PlanPtr plan_of(const config::RelayConfig& config) {
  auto made = RelayPlan::compile(config);
  EXPECT_TRUE(made.ok()) << (made ? "" : made.error().path + " " + made.error().text);
  return made ? *made : nullptr;
}
std::string plan_error(const config::RelayConfig& config) {
  auto made = RelayPlan::compile(config);
  if (made) return "OK";
  EXPECT_EQ(made.error().status, Status::INVALID);
  return made.error().path;
}
inet::IpAddress plan_ip(const char* text) { return *inet::IpAddress::parse(text); }

constexpr const char* kTrustedPeers[] = {"192.0.2.0", "192.0.2.255", "::ffff:192.0.2.1",
                                         "2001:db8::", "2001:db8:ffff::1"};
constexpr const char* kStrangers[] = {
    "192.0.1.255", "192.0.3.0", "2001:db7::1", "2001:db9::", "::1", "::ffff:192.0.3.1", "127.0.0.1", "::192.0.2.1"};

TEST(RelayPlan, WhereHeadersAreOffNobodyMaySendOne) {
  auto config = plan_config({plan_listen(443)});
  config.listen[0].untrusted = Untrusted::reject;
  const PlanPtr plan = plan_of(config);
  for (const char* peer : kTrustedPeers) EXPECT_EQ(plan->listeners[0].expects(plan_ip(peer)), Expected::forbidden);
  EXPECT_EQ(plan->listeners[0].expects({}), Expected::forbidden);
}

TEST(RelayPlan, OfATrustedProxyOneMustComeAndStrangersAreRefusedOrServed) {
  for (Accept accept : {Accept::v1, Accept::v2, Accept::any})
    for (Untrusted untrusted : {Untrusted::reject, Untrusted::direct}) {
      const PlanPtr plan = plan_of(plan_config({plan_proxied(accept, untrusted)}));
      const Expected stranger = untrusted == Untrusted::direct ? Expected::forbidden : Expected::refused;
      for (const char* peer : kTrustedPeers) EXPECT_EQ(plan->listeners[0].expects(plan_ip(peer)), Expected::required);
      for (const char* peer : kStrangers) EXPECT_EQ(plan->listeners[0].expects(plan_ip(peer)), stranger) << peer;
      EXPECT_EQ(plan->listeners[0].expects({}), stranger) << "who has no address is nobody's proxy";
    }
}

TEST(RelayPlan, VersionsAreThoseOfTheListener) {
  const PlanPtr plan =
      plan_of(plan_config({plan_proxied(Accept::v1), plan_proxied(Accept::v2), plan_proxied(Accept::any)}));
  ASSERT_EQ(plan->listeners.size(), 3u);
  EXPECT_EQ(plan->listeners[0].mode, proxyproto::Mode::v1);
  EXPECT_EQ(plan->listeners[1].mode, proxyproto::Mode::v2);
  EXPECT_EQ(plan->listeners[2].mode, proxyproto::Mode::any);
}

TEST(RelayPlan, ASocketForEachPort) {
  auto config = plan_config({plan_listen(443, "192.0.2.1"), plan_listen(0), plan_listen(0), plan_listen(8080)});
  config.listen[3].ports = {{65534, 65535}, {80, 80}};
  const PlanPtr plan = plan_of(config);
  ASSERT_EQ(plan->sockets.size(), 6u);
  struct Case {
    const char* address;
    uint16_t port;
    uint32_t listener, key_listener;
  } cases[] = {{"192.0.2.1", 443, 0, 0}, {"::", 0, 1, 1},     {"::", 0, 2, 2},
               {"::", 65534, 3, 0},      {"::", 65535, 3, 0}, {"::", 80, 3, 0}};
  for (size_t i = 0; i < std::size(cases); ++i) {
    const SocketPlan& socket = plan->sockets[i];
    EXPECT_EQ(socket.key, (SocketKey{plan_ip(cases[i].address), cases[i].port, cases[i].key_listener})) << i;
    EXPECT_EQ(socket.listener, cases[i].listener) << i;
    EXPECT_EQ(socket.path, "/listen/" + std::to_string(cases[i].listener));
  }
}

TEST(RelayPlan, ASocketIsKnownByItsPlaceWhereverItsListenerStands) {
  const PlanPtr before = plan_of(plan_config({plan_listen(80), plan_listen(443)}));
  const PlanPtr after = plan_of(plan_config({plan_listen(443)}));
  EXPECT_EQ(before->sockets[1].key, after->sockets[0].key);
  EXPECT_NE(before->sockets[1].listener, after->sockets[0].listener);
  EXPECT_NE(before->sockets[0].key, before->sockets[1].key);
}

TEST(RelayPlan, ErrorsNameTheirPath) {
  const config::RelayConfig good = plan_config({plan_listen(80), plan_proxied(Accept::any)});
  EXPECT_EQ(plan_error(good), "OK");
  auto with_proxies = [&](std::vector<std::string> entries) {
    config::RelayConfig config = good;
    config.listen[1].trusted_proxies = std::move(entries);
    return plan_error(config);
  };
  EXPECT_EQ(with_proxies({"192.0.2.1", "proxy.test"}), "/listen/1/trusted_proxies/1");
  EXPECT_EQ(with_proxies({"10.0.*.*"}), "/listen/1/trusted_proxies/0") << "prefixes only";
  EXPECT_EQ(with_proxies({"10.0.0.1-10.0.0.9"}), "/listen/1/trusted_proxies/0");
  EXPECT_EQ(with_proxies({"192.0.2.1", "0.0.0.0/0"}), "/listen/1/trusted_proxies") << "everybody is nobody's proxy";
  EXPECT_EQ(with_proxies({"::/1"}), "/listen/1/trusted_proxies");
  EXPECT_EQ(with_proxies({"0.0.0.0/2", "64.0.0.0/2"}), "/listen/1/trusted_proxies");
  EXPECT_EQ(with_proxies({}), "/listen/1/trusted_proxies");
  auto changed = [&](auto&& change) {
    config::RelayConfig config = good;
    change(config);
    return plan_error(config);
  };
  EXPECT_EQ(changed([](auto& c) { c.routes[0].match.domains = {"a.test", "b c"}; }), "/routes/0/match/domains/1");
  EXPECT_EQ(changed([](auto& c) { c.routes[0].match.client_ip = {"x"}; }), "/routes/0/match/client_ip/0");
  EXPECT_EQ(changed([](auto& c) {
              c.security.ip_block_list = {"192.0.2.1", "2001::/129"};
            }),
            "/security/ip_block_list/1");
  EXPECT_EQ(changed([](auto& c) { c.security.ip_allow_list = {"*", "*", "1.2.3"}; }), "/security/ip_allow_list/2");
  // Where headers are off nobody is believed, whatever the list says.
  EXPECT_EQ(changed([](auto& c) { c.listen[0].trusted_proxies = {"0.0.0.0/0"}; }), "OK");
}

TEST(RelayPlan, ListsGiveTheRelaysReasons) {
  config::RelayConfig config = plan_config({plan_listen(80)});
  config.security.ip_block_list = {"192.0.2.7", "2001:db8:bad::/48"};
  config.security.ip_allow_list = {"192.0.2.0/24", "2001:db8::/32"};
  const PlanPtr plan = plan_of(config);
  EXPECT_EQ(plan->sources.judge(plan_ip("192.0.2.7")), Reason::ip_block_list);
  EXPECT_EQ(plan->sources.judge(plan_ip("::ffff:192.0.2.7")), Reason::ip_block_list);
  EXPECT_EQ(plan->sources.judge(plan_ip("2001:db8:bad::1")), Reason::ip_block_list);
  EXPECT_EQ(plan->sources.judge(plan_ip("192.0.2.8")), Reason::none);
  EXPECT_EQ(plan->sources.judge(plan_ip("2001:db8::1")), Reason::none);
  EXPECT_EQ(plan->sources.judge(plan_ip("198.51.100.1")), Reason::client_ip_not_allowed);
  EXPECT_EQ(plan->sources.judge(std::nullopt), Reason::client_ip_not_allowed);
  EXPECT_TRUE(plan_of(plan_config({plan_listen(80)}))->sources.unrestricted());
}

TEST(RelayPlan, TakesTimeoutsLimitsAndRoutesOver) {
  config::RelayConfig config = plan_config({plan_listen(80)});
  config.timeouts.idle_ms = 1234;
  config.limits.connections = 77;
  config.routes.push_back(config.routes[0]);
  config.routes[1].name = "second";
  const PlanPtr plan = plan_of(config);
  EXPECT_EQ(plan->timeouts.idle_ms, 1234u);
  EXPECT_EQ(plan->limits.connections, 77u);
  ASSERT_EQ(plan->routes.routes().size(), 2u);
  EXPECT_EQ(plan->routes.routes()[1].config.name, "second");
  EXPECT_EQ(plan->routes.routes()[1].config.action.targets, config.routes[1].action.targets);
}

}  // namespace
}  // namespace smartvpn::relay
