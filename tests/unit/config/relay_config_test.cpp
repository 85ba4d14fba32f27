// The relay's configuration: what is read, and every rule with the path it names.
#include "config/relay_config.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/features.hpp"
#include "config/document.hpp"

namespace smartvpn::config {
namespace {

using nlohmann::json;

json minimal() {
  return {{"listen", {{{"port", 443}}}},
          {"routes", {{{"action", {{"targets", {{{"host", "10.0.0.2"}, {"port", 8000}}}}}}}}}};
}

// Path and text of what is wrong when the patch is made.
std::string wrong(const json& patch) {
  json config = minimal();
  config = config.patch(json::array({patch}));
  const auto parsed = parse_relay_config(config.dump());
  return parsed ? "" : parsed.error().path;
}

json add(const char* path, const json& value) { return {{"op", "add"}, {"path", path}, {"value", value}}; }

TEST(RelayConfig, TenLinesAreEnoughAndTheRestHasDefaults) {
  const auto config = parse_relay_config(minimal().dump());
  ASSERT_TRUE(config.ok()) << config.error().text;
  EXPECT_EQ(config->listen[0].address.text(), "::");
  EXPECT_EQ(config->listen[0].ports, (std::vector<PortRange>{{443, 443}}));
  EXPECT_EQ(config->routes[0].name, "route-0");
  EXPECT_TRUE(config->routes[0].enabled);
  EXPECT_EQ(config->routes[0].action.targets[0].host, "10.0.0.2");
  EXPECT_EQ(config->limits.connections_per_ip, 100u);
  EXPECT_EQ(config->limits.new_connections_per_ip_per_minute, 300u);
  EXPECT_EQ(config->timeouts.proxy_header_ms, 5000u);
  EXPECT_FALSE(config->routes[0].action.half_open);
}

TEST(RelayConfig, PortsAreANumberAListOrRanges) {
  json config = minimal();
  config["listen"] = {{{"ports", {80, {{"from", 8000}, {"to", 8003}}}}}};
  config["routes"][0]["match"] = {{"ports", 80}};
  config["routes"][0]["action"]["targets"][0]["port"] = "preserve";
  const auto parsed = parse_relay_config(config.dump());
  ASSERT_TRUE(parsed.ok()) << parsed.error().path << parsed.error().text;
  EXPECT_EQ(parsed->listen[0].ports, (std::vector<PortRange>{{80, 80}, {8000, 8003}}));
  EXPECT_EQ(parsed->routes[0].match.ports, (std::vector<PortRange>{{80, 80}}));
  EXPECT_EQ(parsed->routes[0].action.targets[0].port, 0);
  for (const json& bad : {json(0), json(65536), json("80"), json::array(), json::array({json::object()}),
                          json::array({{{"from", 9}, {"to", 8}}}), json::array({{{"from", 9}, {"upto", 10}}})})
    EXPECT_EQ(wrong(add("/routes/0/match", {{"ports", bad}})), "/routes/0/match/ports") << bad;
}

TEST(RelayConfig, ContradictionsNameTheKeyToChange) {
  EXPECT_EQ(wrong(add("/listen/0/ports", {80})), "/listen/0/port");
  EXPECT_EQ(wrong({{"op", "remove"}, {"path", "/listen/0/port"}}), "/listen/0/port");
  EXPECT_EQ(wrong(add("/listen/0/accept_proxy_protocol", "any")), "/listen/0/trusted_proxies");
  EXPECT_EQ(wrong(add("/listen/0/trusted_proxies", {"10.0.0.1"})), "/listen/0/accept_proxy_protocol");
  EXPECT_EQ(wrong(add("/listen/-", {{"port", 443}})), "/listen/1");
  EXPECT_EQ(wrong(add("/routes/0/action/targets", json::array())), "/routes/0/action/targets");
  EXPECT_EQ(wrong(add("/routes/0/action/type", "vpn")), "/routes/0/action/targets");
  EXPECT_EQ(wrong(add("/routes/0/action/proxy_tlvs", json::object())), "/routes/0/action/proxy_tlvs");
  EXPECT_EQ(wrong(add("/routes/0/action/tls", {{"certificates", {{{"certificate", "c"}, {"key", "k"}}}}})),
            "/routes/0/action/tls/certificates");
  json twice = minimal();
  twice["routes"].push_back(twice["routes"][0]);
  twice["routes"][0]["name"] = "route-1";
  const auto parsed = parse_relay_config(twice.dump());
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().path, "/routes/1/name");
}

TEST(RelayConfig, WhereTlsEndsThereAreCertificates) {
  const char* needed = SMARTVPN_WITH_TLS ? "/routes/0/action/tls/certificates" : "/routes/0/action/tls/mode";
  EXPECT_EQ(wrong(add("/routes/0/action/tls", {{"mode", "terminate"}})), needed);
  if (!SMARTVPN_WITH_TLS) return;
  const json certificates = {{{"certificate", "c"}, {"key", "k"}}};
  EXPECT_EQ(wrong(add("/routes/0/action/tls", {{"mode", "terminate"}, {"certificates", certificates}})), "");
  EXPECT_EQ(wrong(add("/routes/0/action/tls",
                      {{"mode", "terminate"}, {"certificates", certificates}, {"target", {{"verify", false}}}})),
            "/routes/0/action/tls/target");
}

TEST(RelayConfig, ATargetThatIsTheRelayItselfIsRefused) {
  for (const char* host : {"127.0.0.1", "::1", "127.9.9.9"})
    EXPECT_EQ(wrong(add("/routes/0/action/targets/0", {{"host", host}, {"port", 443}})), "/routes/0/action/targets/0")
        << host;
  EXPECT_EQ(wrong(add("/routes/0/action/targets/0", {{"host", "127.0.0.1"}, {"port", 444}})), "");
  EXPECT_EQ(wrong(add("/routes/0/action/targets/0", {{"host", "0.0.0.0"}, {"port", 1}})),
            "/routes/0/action/targets/0/host");
}

TEST(RelayConfig, ChangesAreAppliedButForWhatARelayIsMadeOf) {
  const auto before = *Document::parse(minimal().dump(), Kind::relay);
  json next = minimal();
  next["listen"].push_back({{"port", 444}});
  next["routes"][0]["priority"] = 3;
  next["limits"] = {{"threads", 2}, {"connections", 9}};
  const auto changes = before.changes_to(*Document::parse(next.dump(), Kind::relay));
  std::vector<std::string> seen;
  for (const auto& change : changes) seen.push_back(change.path + " " + effect_name(change.effect));
  EXPECT_EQ(seen, (std::vector<std::string>{"/limits/connections applied", "/limits/threads needs_server_restart",
                                            "/listen applied", "/routes applied"}));
}

TEST(RelayConfig, KeysOfCertificatesAreSecret) {
  json config = minimal();
  config["routes"][0]["action"]["tls"] = {
      {"mode", "terminate"},
      {"certificates", {{{"certificate", "c.pem"}, {"key", "-----BEGIN PRIVATE KEY-----\nsecret"}}}}};
  if (!SMARTVPN_WITH_TLS) return;
  const auto document = Document::parse(config.dump(), Kind::relay);
  ASSERT_TRUE(document.ok()) << document.error().text;
  EXPECT_EQ(document->to_json(false).find("secret"), std::string::npos);
  EXPECT_NE(document->to_json(true).find("secret"), std::string::npos);
  EXPECT_EQ(document->server_config().error().status, Status::BAD_STATE);
}

}  // namespace
}  // namespace smartvpn::config
