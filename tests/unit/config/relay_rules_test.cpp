// What a relay's configuration may say of datagrams.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "config/document.hpp"
#include "config/relay_config.hpp"

namespace smartvpn::config {
namespace {

using nlohmann::json;

json udp_listener(json more = json::object()) {
  more["protocol"] = "udp";
  if (!more.contains("ports")) more["port"] = more.value("port", 51820);
  return more;
}
json tcp_listener(int port) { return {{"port", port}}; }
json plain_route(json action = json::object(), json match = nullptr) {
  if (action.is_null()) action = json::object();
  if (!action.contains("targets") && action.value("type", "forward") != "vpn")
    action["targets"] = {{{"host", "192.0.2.9"}, {"port", 9}}};
  json out = {{"action", std::move(action)}};
  if (!match.is_null()) out["match"] = std::move(match);
  return out;
}
json whole(json listeners, json routes) {
  return {{"listen", listeners.is_array() ? listeners : json::array({listeners})},
          {"routes", routes.is_array() ? routes : json::array({routes})}};
}
// "OK", or the status and path of what is wrong.
std::string judged(const json& config) {
  const auto parsed = parse_relay_config(config.dump());
  if (parsed) return "OK";
  return std::string(status_name(static_cast<int32_t>(parsed.error().status))) + " " + parsed.error().path;
}

TEST(RelayUdpConfig, IsRead) {
  json config = whole({udp_listener(), tcp_listener(443)}, plain_route({}, {{"protocol", "udp"}}));
  config["timeouts"] = {{"udp_idle_ms", 1000}};
  const auto parsed = parse_relay_config(config.dump());
  ASSERT_TRUE(parsed.ok()) << parsed.error().path << parsed.error().text;
  EXPECT_EQ(parsed->listen[0].protocol, RelayProtocol::udp);
  EXPECT_EQ(parsed->listen[1].protocol, RelayProtocol::tcp);
  EXPECT_EQ(parsed->routes[0].match.protocol, RelayProtocol::udp);
  EXPECT_EQ(parsed->timeouts.udp_idle_ms, 1000u);
  const auto plain = parse_relay_config(whole(tcp_listener(443), plain_route({}, {{"protocol", "tcp"}})).dump());
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->routes[0].match.protocol, RelayProtocol::tcp);
  EXPECT_EQ(plain->timeouts.udp_idle_ms, 60000u);
  EXPECT_FALSE(parse_relay_config(whole(tcp_listener(443), plain_route()).dump())->routes[0].match.protocol);
}

TEST(RelayUdpConfig, RangesAndWords) {
  for (const json& wrong : {json(999), json(3600001), json("1s")}) {
    json config = whole(udp_listener(), plain_route());
    config["timeouts"] = {{"udp_idle_ms", wrong}};
    EXPECT_EQ(judged(config), "INVALID /timeouts/udp_idle_ms") << wrong;
  }
  EXPECT_EQ(judged(whole(udp_listener(), plain_route({}, {{"protocol", "sctp"}}))), "INVALID /routes/0/match/protocol");
}

TEST(RelayUdpConfig, APortMayBeOfBothProtocolsButNotTwiceOfOne) {
  EXPECT_EQ(judged(whole({udp_listener({{"port", 443}}), tcp_listener(443)}, plain_route())), "OK");
  EXPECT_EQ(judged(whole({udp_listener(), tcp_listener(443), udp_listener()}, plain_route())), "INVALID /listen/2");
}

TEST(RelayUdpConfig, Version1HasNoDatagrams) {
  json listener = udp_listener({{"trusted_proxies", {"192.0.2.1"}}});
  for (const char* mode : {"v2", "any"}) {
    listener["accept_proxy_protocol"] = mode;
    EXPECT_EQ(judged(whole(listener, plain_route())), "OK") << mode;
  }
  listener["accept_proxy_protocol"] = "v1";
  EXPECT_EQ(judged(whole({tcp_listener(1), listener}, plain_route())), "INVALID /listen/1/accept_proxy_protocol");
  const json v1 = {{"send_proxy_protocol", "v1"}};
  const std::string at = "INVALID /routes/1/action/send_proxy_protocol";
  auto second = [&](const json& listeners, const json& match) {
    return judged(whole(listeners, json::array({plain_route(), plain_route(v1, match)})));
  };
  EXPECT_EQ(second(udp_listener(), nullptr), at);
  EXPECT_EQ(second({udp_listener(), tcp_listener(443)}, nullptr), at);
  EXPECT_EQ(second(tcp_listener(443), {{"protocol", "udp"}}), at);
  EXPECT_EQ(second(udp_listener(), {{"ports", {443, 51820}}}), at);
  EXPECT_EQ(second(udp_listener({{"ports", {{{"from", 1}, {"to", 99}}}}}), {{"ports", {{{"from", 99}, {"to", 200}}}}}),
            at);
  EXPECT_EQ(second(udp_listener({{"port", 0}}), {{"ports", {443}}}), at) << "the kernel may choose any port";
  EXPECT_EQ(second(udp_listener(), {{"protocol", "tcp"}}), "OK");
  EXPECT_EQ(second(udp_listener(), {{"ports", {443}}}), "OK");
  EXPECT_EQ(second(udp_listener(), {{"domains", {"a.test"}}}), "OK") << "datagrams pass it by";
  EXPECT_EQ(second(udp_listener(), {{"tls_versions", {"TLSv1.3"}}}), "OK");
  EXPECT_EQ(second(tcp_listener(443), nullptr), "OK");
}

TEST(RelayUdpConfig, TlsDoesNotEndWhereDatagramsGo) {
  json action = {{"tls", {{"mode", "terminate"}, {"certificates", {{{"certificate", "/c.pem"}, {"key", "/k.pem"}}}}}}};
  const std::string refused = judged(whole({tcp_listener(443), udp_listener()}, plain_route(action)));
  EXPECT_TRUE(refused.ends_with(" /routes/0/action/tls/mode")) << refused;  // a build without TLS says UNSUPPORTED
  action = {{"tls", {{"mode", "passthrough"}}}};
  EXPECT_EQ(judged(whole({tcp_listener(443), udp_listener()}, plain_route(action))), "OK");
}

TEST(RelayUdpConfig, ARouteForDatagramsAloneHasNothingOfConnections) {
  EXPECT_EQ(judged(whole(udp_listener(), plain_route({}, {{"protocol", "udp"}, {"domains", {"a.test"}}}))),
            "INVALID /routes/0/match/domains");
  EXPECT_EQ(judged(whole(udp_listener(), plain_route({}, {{"protocol", "udp"}, {"tls_versions", {"TLSv1.3"}}}))),
            "INVALID /routes/0/match/tls_versions");
  EXPECT_EQ(judged(whole(udp_listener(), plain_route({{"type", "vpn"}}, {{"protocol", "udp"}}))),
            "INVALID /routes/0/action/type");
}

TEST(RelayUdpConfig, ATargetIsNoListenerOfTheSameProtocol) {
  const json here = {{"targets", {{{"host", "127.0.0.1"}, {"port", 51820}}}}};
  const std::string at = "INVALID /routes/0/action/targets/0";
  EXPECT_EQ(judged(whole(udp_listener(), plain_route(here))), at);
  EXPECT_EQ(judged(whole({udp_listener(), tcp_listener(443)}, plain_route(here, {{"protocol", "tcp"}}))), "OK");
  EXPECT_EQ(judged(whole({udp_listener({{"port", 1}}), tcp_listener(51820)}, plain_route(here, {{"protocol", "udp"}}))),
            "OK");
  EXPECT_EQ(judged(whole({udp_listener({{"port", 1}}), tcp_listener(51820)}, plain_route(here))), at);
}

}  // namespace
}  // namespace smartvpn::config
