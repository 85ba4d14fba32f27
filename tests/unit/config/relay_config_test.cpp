#include "config/relay_config.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "unit/config/config_fixture.hpp"

namespace smartvpn::config {
namespace {

using RelayAccept = RelayListenConfig::Accept;
using RelayBalance = RelayActionConfig::Balance;
using RelaySend = RelayActionConfig::Send;

const std::string kRelay = R"({"listen":[{"address":"192.0.2.1","port":443}],
                               "routes":[{"action":{"targets":[{"host":"10.0.0.1","port":80}]}}]})";

// The base with changes; what the first refused one says, or validate().
std::string relay_said(std::initializer_list<Change> changes) {
  auto document = Document::parse(kRelay, Kind::relay);
  if (!document) return "base is broken";
  for (const auto& change : changes)
    if (auto set = document->set(change.pointer, change.value); !set) return outcome(set);
  const std::string said = outcome(document->validate());
  // Whoever reads the text at once hears the same.
  auto parsed = parse_relay_config(document->to_json(true));
  EXPECT_EQ(parsed ? "OK" : outcome(Result<void>(parsed.error())), said);
  return said;
}
RelayConfig relay_with(std::initializer_list<Change> changes) {
  auto document = Document::parse(kRelay, Kind::relay);
  for (const auto& change : changes) EXPECT_EQ(outcome(document->set(change.pointer, change.value)), "OK");
  auto config = document->relay_config();
  EXPECT_TRUE(config.ok()) << (config ? "" : config.error().path + " " + config.error().text);
  return config ? std::move(*config) : RelayConfig{};
}
std::string relay_parsed(std::string_view json) {
  auto config = parse_relay_config(json);
  return config ? "OK" : outcome(Result<void>(config.error()));
}
std::vector<PortRange> ports_read(const char* json) {
  return relay_with({{"/listen/0/port", "null"}, {"/listen/0/ports", json}}).listen.at(0).ports;
}

TEST(RelayConfig, ReadsTheModelOfTheManual) {
  auto config = parse_relay_config(R"({
    "listen": [
      {"address": "::ffff:192.0.2.1", "port": 443, "protocol": "tcp", "accept_proxy_protocol": "v2",
       "trusted_proxies": ["10.0.0.0/8", "2001:db8::1"], "untrusted": "direct", "addressless": "refuse",
       "max_header_bytes": 232},
      {"ports": [8000, {"from": 9000, "to": 9010}]}],
    "routes": [
      {"name": "web", "enabled": false, "priority": -7, "max_connections": 9,
       "match": {"ports": [{"from": 1, "to": 2}], "domains": ["*.example.com", "*"], "client_ip": ["192.0.2.0/24"],
                 "tls_versions": ["TLSv1.2", "TLSv1.3"]},
       "action": {"type": "forward",
                  "targets": [{"host": "web.internal", "port": 8443}, {"host": "2001:db8::2", "port": "preserve"}],
                  "balance": "least_connections", "tls": {"mode": "passthrough"}, "send_proxy_protocol": "v2",
                  "proxy_tlvs": {"authority": false, "alpn": false, "ssl": false, "unique_id": false, "crc32c": true,
                                 "unknown": true},
                  "half_open": true}},
      {"action": {"type": "vpn"}}],
    "timeouts": {"proxy_header_ms": 101, "first_bytes_ms": 102, "connect_ms": 103, "idle_ms": 104, "lifetime_ms": 105,
                 "half_open_ms": 106},
    "limits": {"threads": 2, "connections": 3, "connections_per_ip": 4, "new_connections_per_ip_per_minute": 5,
               "addresses": 16, "event_queue": 17},
    "security": {"ip_block_list": ["203.0.113.0/24"], "ip_allow_list": ["192.0.2.1", "*"]}
  })");
  ASSERT_TRUE(config.ok()) << config.error().path << " " << config.error().text;
  ASSERT_EQ(config->listen.size(), 2u);
  const RelayListenConfig& first = config->listen[0];
  EXPECT_EQ(first.address.text(), "192.0.2.1");
  EXPECT_EQ(first.ports, (std::vector<PortRange>{{443, 443}}));
  EXPECT_EQ(first.accept_proxy_protocol, RelayAccept::v2);
  EXPECT_EQ(first.trusted_proxies, (std::vector<std::string>{"10.0.0.0/8", "2001:db8::1"}));
  EXPECT_EQ(first.untrusted, RelayListenConfig::Untrusted::direct);
  EXPECT_TRUE(first.refuse_addressless);
  EXPECT_EQ(first.max_header_bytes, 232u);
  EXPECT_EQ(config->listen[1].ports, (std::vector<PortRange>{{8000, 8000}, {9000, 9010}}));
  ASSERT_EQ(config->routes.size(), 2u);
  const RelayRouteConfig& web = config->routes[0];
  EXPECT_EQ(web.name, "web");
  EXPECT_FALSE(web.enabled);
  EXPECT_EQ(web.priority, -7);
  EXPECT_EQ(web.max_connections, 9u);
  EXPECT_EQ(web.match.ports, (std::vector<PortRange>{{1, 2}}));
  EXPECT_EQ(web.match.domains, (std::vector<std::string>{"*.example.com", "*"}));
  EXPECT_EQ(web.match.client_ip, (std::vector<std::string>{"192.0.2.0/24"}));
  EXPECT_EQ(web.match.tls_versions, (std::vector<std::string>{"TLSv1.2", "TLSv1.3"}));
  EXPECT_EQ(web.action.targets, (std::vector<RelayTargetConfig>{{"web.internal", 8443}, {"2001:db8::2", 0}}));
  EXPECT_EQ(web.action.balance, RelayBalance::least_connections);
  EXPECT_EQ(web.action.send_proxy_protocol, RelaySend::v2);
  const auto& tlvs = web.action.tlvs;
  EXPECT_FALSE(tlvs.authority || tlvs.alpn || tlvs.ssl || tlvs.unique_id);
  EXPECT_TRUE(tlvs.crc32c && tlvs.unknown && web.action.half_open);
  EXPECT_FALSE(web.action.vpn);
  EXPECT_EQ(config->routes[1].name, "route-1");
  EXPECT_TRUE(config->routes[1].action.vpn && config->routes[1].action.targets.empty());
  const RelayTimeoutsConfig& timeouts = config->timeouts;
  EXPECT_EQ(timeouts.proxy_header_ms, 101u);
  EXPECT_EQ(timeouts.first_bytes_ms, 102u);
  EXPECT_EQ(timeouts.connect_ms, 103u);
  EXPECT_EQ(timeouts.idle_ms, 104u);
  EXPECT_EQ(timeouts.lifetime_ms, 105u);
  EXPECT_EQ(timeouts.half_open_ms, 106u);
  const RelayLimitsConfig& limits = config->limits;
  EXPECT_EQ(limits.threads, 2u);
  EXPECT_EQ(limits.connections, 3u);
  EXPECT_EQ(limits.connections_per_ip, 4u);
  EXPECT_EQ(limits.new_connections_per_ip_per_minute, 5u);
  EXPECT_EQ(limits.addresses, 16u);
  EXPECT_EQ(limits.event_queue, 17u);
  EXPECT_EQ(config->security.ip_block_list, (std::vector<std::string>{"203.0.113.0/24"}));
  EXPECT_EQ(config->security.ip_allow_list, (std::vector<std::string>{"192.0.2.1", "*"}));
}

TEST(RelayConfig, DefaultsAreThoseOfTheKeyTable) {
  const RelayConfig config = relay_with({{"/listen/0/address", "null"}});
  auto is = [](const char* path, const std::string& value) {
    const KeySpec* key = find_key(Kind::relay, path);
    ASSERT_NE(key, nullptr) << path;
    EXPECT_EQ(key->fallback, value) << path;
  };
  auto number = [&](const char* path, int64_t value) { is(path, std::to_string(value)); };
  auto boolean = [&](const char* path, bool value) { is(path, value ? "true" : "false"); };
  is("/listen/*/address", "\"" + config.listen.at(0).address.text() + "\"");
  number("/listen/*/max_header_bytes", config.listen[0].max_header_bytes);
  EXPECT_EQ(config.listen[0].accept_proxy_protocol, RelayAccept::off);
  EXPECT_EQ(config.listen[0].untrusted, RelayListenConfig::Untrusted::reject);
  EXPECT_FALSE(config.listen[0].refuse_addressless);
  const RelayRouteConfig& route = config.routes.at(0);
  EXPECT_EQ(route.name, "route-0");
  boolean("/routes/*/enabled", route.enabled);
  number("/routes/*/priority", route.priority);
  number("/routes/*/max_connections", route.max_connections);
  EXPECT_TRUE(route.match.ports.empty() && route.match.domains.empty());
  EXPECT_TRUE(route.match.client_ip.empty() && route.match.tls_versions.empty());
  EXPECT_FALSE(route.action.vpn);
  EXPECT_EQ(route.action.balance, RelayBalance::round_robin);
  EXPECT_EQ(route.action.send_proxy_protocol, RelaySend::off);
  EXPECT_EQ(route.action.tls.mode, RelayTlsConfig::Mode::passthrough);
  boolean("/routes/*/action/tls/target/verify", route.action.tls.target_verify);
  boolean("/routes/*/action/half_open", route.action.half_open);
  const auto& tlvs = route.action.tlvs;
  boolean("/routes/*/action/proxy_tlvs/authority", tlvs.authority);
  boolean("/routes/*/action/proxy_tlvs/alpn", tlvs.alpn);
  boolean("/routes/*/action/proxy_tlvs/ssl", tlvs.ssl);
  boolean("/routes/*/action/proxy_tlvs/unique_id", tlvs.unique_id);
  boolean("/routes/*/action/proxy_tlvs/crc32c", tlvs.crc32c);
  boolean("/routes/*/action/proxy_tlvs/unknown", tlvs.unknown);
  number("/timeouts/proxy_header_ms", config.timeouts.proxy_header_ms);
  number("/timeouts/first_bytes_ms", config.timeouts.first_bytes_ms);
  number("/timeouts/connect_ms", config.timeouts.connect_ms);
  number("/timeouts/idle_ms", config.timeouts.idle_ms);
  number("/timeouts/lifetime_ms", config.timeouts.lifetime_ms);
  number("/timeouts/half_open_ms", config.timeouts.half_open_ms);
  number("/limits/threads", config.limits.threads);
  number("/limits/connections", config.limits.connections);
  number("/limits/connections_per_ip", config.limits.connections_per_ip);
  number("/limits/new_connections_per_ip_per_minute", config.limits.new_connections_per_ip_per_minute);
  number("/limits/addresses", config.limits.addresses);
  number("/limits/event_queue", config.limits.event_queue);
  EXPECT_TRUE(config.security.ip_block_list.empty() && config.security.ip_allow_list.empty());
}

// Every default that the table names, written out, is what is read without it.
TEST(RelayConfig, ADefaultWrittenOutIsNoDifference) {
  auto plain = Document::parse(kRelay, Kind::relay), written = Document::parse(kRelay, Kind::relay);
  int count = 0;
  for (const KeySpec& key : key_table(Kind::relay)) {
    if (key.fallback.empty() || key.path.starts_with("/listen") || key.path.starts_with("/routes")) continue;
    EXPECT_EQ(outcome(written->set(key.path, key.fallback)), "OK") << key.path;
    ++count;
  }
  EXPECT_EQ(count, 15);
  EXPECT_EQ(plain->changes_to(*written), std::vector<KeyChange>());
  EXPECT_EQ(written->changes_to(*plain), std::vector<KeyChange>());
}

TEST(RelayConfig, WrongTypesAndRanges) {
  struct Case {
    const char* pointer;
    const char* value;
  } cases[] = {{"/listen", "{}"},
               {"/listen/0", "[]"},
               {"/listen/0/address", "\"localhost\""},
               {"/listen/0/address", "\"192.0.2.1:80\""},
               {"/listen/0/address", "\"[::1]\""},
               {"/listen/0/address", "\"\""},
               {"/listen/0/port", "\"443\""},
               {"/listen/0/port", "-1"},
               {"/listen/0/port", "65536"},
               {"/listen/0/port", "443.0"},
               {"/listen/0/protocol", "\"sctp\""},
               {"/listen/0/accept_proxy_protocol", "\"v3\""},
               {"/listen/0/accept_proxy_protocol", "true"},
               {"/listen/0/trusted_proxies", "\"10.0.0.1\""},
               {"/listen/0/trusted_proxies/0", "\"proxy.example\""},
               {"/listen/0/untrusted", "\"\""},
               {"/listen/0/addressless", "\"refused\""},
               {"/listen/0/max_header_bytes", "231"},
               {"/listen/0/max_header_bytes", "65552"},
               {"/routes", "{}"},
               {"/routes/0", "1"},
               {"/routes/0/name", "\"\""},
               {"/routes/0/name", "\"a\\nb\""},
               {"/routes/0/name", "\"a\\u0000\""},
               {"/routes/0/name", "\"12345678901234567890123456789012345678901234567890123456789012345\""},
               {"/routes/0/enabled", "1"},
               {"/routes/0/priority", "1000001"},
               {"/routes/0/priority", "-1000001"},
               {"/routes/0/max_connections", "-1"},
               {"/routes/0/max_connections", "1000001"},
               {"/routes/0/match", "[]"},
               {"/routes/0/match/domains", "\"*\""},
               {"/routes/0/match/domains/0", "\"\""},
               {"/routes/0/match/client_ip/0", "\"a.test\""},
               {"/routes/0/match/tls_versions/0", "\"TLSv1.4\""},
               {"/routes/0/match/tls_versions/0", "\"1.2\""},
               {"/routes/0/match/tls_versions", R"(["TLSv1.0","TLSv1.1","TLSv1.2","TLSv1.3","TLSv1.3"])"},
               {"/routes/0/action", "\"forward\""},
               {"/routes/0/action/type", "\"drop\""},
               {"/routes/0/action/targets", "{}"},
               {"/routes/0/action/targets/0", "\"10.0.0.1:80\""},
               {"/routes/0/action/targets/0/host", "\"\""},
               {"/routes/0/action/targets/0/host", "1"},
               {"/routes/0/action/targets/0/port", "0"},
               {"/routes/0/action/targets/0/port", "65536"},
               {"/routes/0/action/targets/0/port", "\"80\""},
               {"/routes/0/action/targets/0/port", "\"Preserve\""},
               {"/routes/0/action/targets/0/port", "\"\""},
               {"/routes/0/action/targets/0/port", "80.5"},
               {"/routes/0/action/targets/0/port", "[80]"},
               {"/routes/0/action/balance", "\"random\""},
               {"/routes/0/action/tls/mode", "\"off\""},
               {"/routes/0/action/send_proxy_protocol", "\"any\""},
               {"/routes/0/action/proxy_tlvs/crc32c", "\"on\""},
               {"/routes/0/action/half_open", "0"},
               {"/timeouts/proxy_header_ms", "99"},
               {"/timeouts/proxy_header_ms", "60001"},
               {"/timeouts/first_bytes_ms", "0"},
               {"/timeouts/connect_ms", "60001"},
               {"/timeouts/idle_ms", "-1"},
               {"/timeouts/idle_ms", "604800001"},
               {"/timeouts/lifetime_ms", "604800001"},
               {"/timeouts/half_open_ms", "99"},
               {"/limits/threads", "0"},
               {"/limits/threads", "65"},
               {"/limits/connections", "1000001"},
               {"/limits/connections_per_ip", "18446744073709551615"},
               {"/limits/new_connections_per_ip_per_minute", "10000001"},
               {"/limits/addresses", "15"},
               {"/limits/event_queue", "15"},
               {"/security/ip_block_list", "\"*\""},
               {"/security/ip_block_list/0", "\"\""},
               {"/security/ip_allow_list/0", "7"}};
  for (const auto& c : cases)
    EXPECT_EQ(relay_said({{c.pointer, c.value}}), std::string("INVALID ") + c.pointer) << c.value;
}

TEST(RelayConfig, UnknownKeysNameTheNearest) {
  auto config = parse_relay_config(R"({"listen":[{"prot":443}]})");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().path, "/listen/0/prot");
  EXPECT_EQ(config.error().text, "unknown key; did you mean \"port\"?");
  EXPECT_EQ(relay_said({{"/routes/0/matches", "{}"}}), "INVALID /routes/0/matches");
  EXPECT_EQ(relay_said({{"/keys", "{}"}}), "INVALID /keys") << "that is a server's";
}

TEST(RelayConfig, BrokenTextIsRefused) {
  for (auto text : {"", "null", "[]", "\"x\"", "{} x", "{\"listen\":[}", "\xFF", "{\"listen\":[],\"listen\":[]}"})
    EXPECT_EQ(relay_parsed(text).substr(0, 7), "INVALID") << text;
  EXPECT_EQ(relay_parsed(R"({"routes":[{"name":"a","name":"b"}]})"), "INVALID /routes/0/name");
  EXPECT_EQ(relay_parsed("{\"routes\":" + std::string(100000, '[')).substr(0, 7), "INVALID");
}

TEST(RelayConfig, WhatIsRequired) {
  EXPECT_EQ(relay_parsed("{}"), "INVALID /listen");
  EXPECT_EQ(relay_said({{"/routes", "null"}}), "INVALID /routes");
  EXPECT_EQ(relay_said({{"/routes", "[]"}}), "INVALID /routes");
  EXPECT_EQ(relay_said({{"/listen", "[]"}}), "INVALID /listen");
  EXPECT_EQ(relay_said({{"/routes/0/action", "null"}}), "INVALID /routes/0/action");
  EXPECT_EQ(relay_said({{"/routes/0/action/targets", "null"}}), "INVALID /routes/0/action/targets");
  EXPECT_EQ(relay_said({{"/routes/0/action/targets", "[]"}}), "INVALID /routes/0/action/targets");
  EXPECT_EQ(relay_said({{"/routes/0/action/targets/0/host", "null"}}), "INVALID /routes/0/action/targets/0/host");
  EXPECT_EQ(relay_said({{"/routes/0/action/targets/0/port", "null"}}), "INVALID /routes/0/action/targets/0/port");
  EXPECT_EQ(relay_said({{"/routes/1", R"({"name":"x","action":{}})"}}), "INVALID /routes/1/action/targets");
}

TEST(RelayConfig, PortOrPortsAndNotBoth) {
  EXPECT_EQ(relay_said({{"/listen/0/port", "null"}}), "INVALID /listen/0/port");
  EXPECT_EQ(relay_said({{"/listen/0/ports", "[80]"}}), "INVALID /listen/0/port");
  EXPECT_EQ(relay_said({{"/listen/1", R"({"ports":[80]})"}, {"/listen/2", "{}"}}), "INVALID /listen/2/port");
  EXPECT_EQ(relay_with({{"/listen/0/port", "0"}}).listen[0].ports, (std::vector<PortRange>{{0, 0}}));
}

TEST(RelayConfig, FormsOfPorts) {
  using Ports = std::vector<PortRange>;
  EXPECT_EQ(ports_read("80"), (Ports{{80, 80}}));
  EXPECT_EQ(ports_read("65535"), (Ports{{65535, 65535}}));
  EXPECT_EQ(ports_read("[1]"), (Ports{{1, 1}}));
  EXPECT_EQ(ports_read(R"([80, {"from": 90, "to": 90}, {"to": 95, "from": 92}, 65535])"),
            (Ports{{80, 80}, {90, 90}, {92, 95}, {65535, 65535}}));
  std::string many = "[1";
  for (int i = 2; i <= 64; ++i) many += "," + std::to_string(i);
  EXPECT_EQ(ports_read((many + "]").c_str()).size(), 64u);
  for (const std::string& wrong : {std::string("0"),
                                   std::string("65536"),
                                   std::string("-1"),
                                   std::string("\"80\""),
                                   std::string("80.0"),
                                   std::string("[]"),
                                   std::string("{}"),
                                   std::string("true"),
                                   std::string("[0]"),
                                   std::string("[\"80\"]"),
                                   std::string("[[80]]"),
                                   std::string("[80,null]"),
                                   std::string(R"({"from":1,"to":2})"),
                                   std::string(R"([{"from":2,"to":1}])"),
                                   std::string(R"([{"from":0,"to":1}])"),
                                   std::string(R"([{"from":1,"to":65536}])"),
                                   std::string(R"([{"from":1}])"),
                                   std::string(R"([{"to":1}])"),
                                   std::string(R"([{"from":1,"to":2,"step":1}])"),
                                   std::string(R"([{"from":"1","to":2}])"),
                                   std::string(R"([{"from":1,"till":2}])"),
                                   std::string("[18446744073709551615]"),
                                   many + ",65]"})
    for (const char* pointer : {"/listen/0/ports", "/routes/0/match/ports"})
      EXPECT_EQ(relay_said({{"/listen/0/port", "null"}, {pointer, wrong}}), std::string("INVALID ") + pointer) << wrong;
}

TEST(RelayConfig, NoPortTwiceOnOneAddress) {
  auto second = [](const char* json) { return relay_said({{"/listen/1", json}}); };
  EXPECT_EQ(second(R"({"address":"192.0.2.1","port":443})"), "INVALID /listen/1");
  EXPECT_EQ(second(R"({"address":"::ffff:192.0.2.1","port":443})"), "INVALID /listen/1");
  EXPECT_EQ(second(R"({"address":"192.0.2.1","ports":[80,{"from":400,"to":500}]})"), "INVALID /listen/1");
  EXPECT_EQ(second(R"({"address":"192.0.2.1","port":444})"), "OK");
  EXPECT_EQ(second(R"({"address":"192.0.2.2","port":443})"), "OK");
  EXPECT_EQ(second(R"({"address":"192.0.2.1","ports":[{"from":440,"to":442},{"from":444,"to":450}]})"), "OK");
  EXPECT_EQ(second(R"({"address":"192.0.2.2","ports":[443,443]})"), "INVALID /listen/1");
  EXPECT_EQ(second(R"({"address":"192.0.2.2","ports":[{"from":1,"to":9},{"from":9,"to":10}]})"), "INVALID /listen/1");
  EXPECT_EQ(relay_said({{"/listen/1", R"({"port":0})"}, {"/listen/2", R"({"port":0})"}}), "OK")
      << "the kernel finds one for each";
}

TEST(RelayConfig, AtMostAThousandAndTwentyFourSockets) {
  EXPECT_EQ(relay_said({{"/listen/1", R"({"ports":[{"from":1000,"to":2022}]})"}}), "OK");
  EXPECT_EQ(relay_said({{"/listen/1", R"({"ports":[{"from":1000,"to":2023}]})"}}), "INVALID /listen/1");
  EXPECT_EQ(relay_said({{"/listen/1", R"({"ports":[{"from":1,"to":65535}]})"}}), "INVALID /listen/1");
  EXPECT_EQ(relay_said({{"/listen/1", R"({"ports":[{"from":1000,"to":2022}]})"}, {"/listen/2", R"({"port":1})"}}),
            "INVALID /listen/2");
}

TEST(RelayConfig, HeadersComeFromTrustedProxies) {
  for (const char* mode : {"\"v1\"", "\"v2\"", "\"any\""}) {
    EXPECT_EQ(relay_said({{"/listen/0/accept_proxy_protocol", mode}}), "INVALID /listen/0/trusted_proxies");
    EXPECT_EQ(relay_said({{"/listen/0/accept_proxy_protocol", mode}, {"/listen/0/trusted_proxies", "[]"}}),
              "INVALID /listen/0/trusted_proxies");
    EXPECT_EQ(relay_said({{"/listen/0/accept_proxy_protocol", mode}, {"/listen/0/trusted_proxies", R"(["10.0.0.1"])"}}),
              "OK");
  }
  EXPECT_EQ(relay_said({{"/listen/0/trusted_proxies", R"(["10.0.0.1"])"}}), "INVALID /listen/0/accept_proxy_protocol");
  EXPECT_EQ(relay_said({{"/listen/0/accept_proxy_protocol", "\"off\""}, {"/listen/0/trusted_proxies", "[]"}}), "OK");
  const auto config =
      relay_with({{"/listen/0/accept_proxy_protocol", "\"v1\""}, {"/listen/0/trusted_proxies", R"(["10.0.0.1"])"}});
  EXPECT_EQ(config.listen[0].accept_proxy_protocol, RelayAccept::v1);
}

TEST(RelayConfig, NamesOfRoutesAreTheirOwn) {
  const std::string action = R"("action":{"targets":[{"host":"a.test","port":1}]}})";
  auto routes = [&](const std::string& first, const std::string& second) {
    return relay_said({{"/routes", "[{" + first + action + ",{" + second + action + "]"}});
  };
  EXPECT_EQ(routes("", ""), "OK");
  EXPECT_EQ(routes(R"("name":"a",)", R"("name":"A",)"), "OK");
  EXPECT_EQ(routes(R"("name":"a",)", R"("name":"a",)"), "INVALID /routes/1/name");
  EXPECT_EQ(routes(R"("name":"a",)", R"("name":"a","enabled":false,)"), "INVALID /routes/1/name");
  EXPECT_EQ(routes(R"("name":"route-1",)", ""), "INVALID /routes/1/name") << "a name that nobody wrote is one too";
  EXPECT_EQ(routes("", R"("name":"route-0",)"), "INVALID /routes/1/name");
  EXPECT_EQ(routes(R"("name":"route-0",)", ""), "OK");
}

struct SelfCase {
  const char *listen, *target;
  bool itself;
};
constexpr SelfCase kSelfCases[] = {{"127.0.0.1", "127.0.0.1", true},
                                   {"127.0.0.1", "::ffff:127.0.0.1", true},
                                   {"::ffff:127.0.0.1", "127.0.0.1", true},
                                   {"127.0.0.1", "127.0.0.2", false},
                                   {"127.0.0.1", "::1", false},
                                   {"::1", "::1", true},
                                   {"::1", "0:0::1", true},
                                   {"::1", "127.0.0.1", false},
                                   {"0.0.0.0", "127.0.0.1", true},
                                   {"0.0.0.0", "127.255.255.254", true},
                                   {"0.0.0.0", "::1", false},
                                   {"0.0.0.0", "192.0.2.1", false},
                                   {"::", "127.0.0.1", true},
                                   {"::", "::1", true},
                                   {"::", "2001:db8::1", false},
                                   {"192.0.2.1", "192.0.2.1", true},
                                   {"192.0.2.1", "127.0.0.1", false},
                                   {"2001:db8::1", "2001:db8:0::1", true},
                                   {"127.0.0.1", "localhost", false}};

std::string quoted_text(const char* text) { return "\"" + std::string(text) + "\""; }

TEST(RelayConfig, ATargetIsNoListenerOfThisRelay) {
  for (const SelfCase& one : kSelfCases) {
    auto with_port = [&](const char* port) {
      const std::string target = R"({"host":)" + quoted_text(one.target) + R"(,"port":)" + port + "}";
      return relay_said({{"/listen/0/address", quoted_text(one.listen)}, {"/routes/0/action/targets/1", target}});
    };
    EXPECT_EQ(with_port("443"), one.itself ? "INVALID /routes/0/action/targets/1" : "OK")
        << one.listen << " " << one.target;
    EXPECT_EQ(with_port("442"), "OK") << one.listen << " " << one.target;
  }
  EXPECT_EQ(relay_said({{"/listen/1", R"({"address":"10.0.0.1","ports":[1,{"from":79,"to":81}]})"}}),
            "INVALID /routes/0/action/targets/0");
  auto config = parse_relay_config(R"({"listen":[{"port":1},{"address":"10.0.0.1","port":80}],
    "routes":[{"action":{"targets":[{"host":"10.0.0.1","port":80}]}}]})");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().text, "is /listen/1 of this relay");
}

// The port that a client comes to is that of the listener it reaches.
TEST(RelayConfig, ATargetOnAPreservedPortIsNoListenerOfThisRelay) {
  constexpr const char* kThere = "/routes/0/action/targets/0/port";
  constexpr const char* kItself = "INVALID /routes/0/action/targets/0";
  for (const auto& [listen, target, itself] : kSelfCases)
    for (const char* port : {"443", "0"})
      EXPECT_EQ(relay_said({{"/listen/0/address", quoted_text(listen)},
                            {"/listen/0/port", port},
                            {"/routes/0/action/targets/0/host", quoted_text(target)},
                            {kThere, "\"preserve\""}}),
                itself ? kItself : "OK")
          << listen << " " << target << " " << port;
  auto local = [&](const char* listen, const char* ports) {
    return relay_said({{"/listen", listen},
                       {"/routes/0/match/ports", ports},
                       {"/routes/0/action/targets/0/host", R"("127.0.0.1")"},
                       {kThere, R"("preserve")"}});
  };
  // A route for other ports than the listener's.
  EXPECT_EQ(local(R"([{"port":443},{"address":"192.0.2.1","port":80}])", "80"), "OK");
  EXPECT_EQ(local(R"([{"port":443},{"address":"192.0.2.1","port":80}])", "[80,443]"), kItself);
  EXPECT_EQ(local(R"([{"ports":[{"from":1,"to":9}]}])", R"([{"from":10,"to":20}])"), "OK");
  EXPECT_EQ(local(R"([{"ports":[{"from":1,"to":10}]}])", R"([{"from":10,"to":20}])"), kItself);
  EXPECT_EQ(local(R"([{"ports":[{"from":20,"to":30}]}])", R"([{"from":10,"to":20}])"), kItself);
  EXPECT_EQ(local(R"([{"ports":[{"from":12,"to":13}]}])", R"([5,{"from":10,"to":20}])"), kItself);
  EXPECT_EQ(local(R"([{"address":"192.0.2.1","port":443}])", "443"), "OK");
  // Which port the kernel will choose is not known; the relay looks again when it connects.
  EXPECT_EQ(local(R"([{"port":0}])", "80"), "OK");
}

TEST(RelayConfig, NoTargetIsTheUnspecifiedAddress) {
  for (const char* host : {"0.0.0.0", "::", "::ffff:0.0.0.0"})
    for (const char* port : {"80", "\"preserve\""})
      EXPECT_EQ(relay_said({{"/routes/0/action/targets/0/host", quoted_text(host)},
                            {"/routes/0/action/targets/0/port", port}}),
                "INVALID /routes/0/action/targets/0/host")
          << host;
}

TEST(RelayConfig, TlvsAreVersionTwos) {
  for (const char* send : {"\"off\"", "\"v1\""})
    EXPECT_EQ(relay_said({{"/routes/0/action/send_proxy_protocol", send}, {"/routes/0/action/proxy_tlvs", "{}"}}),
              "INVALID /routes/0/action/proxy_tlvs");
  EXPECT_EQ(relay_said({{"/routes/0/action/proxy_tlvs/crc32c", "true"}}), "INVALID /routes/0/action/proxy_tlvs");
  EXPECT_EQ(relay_said({{"/routes/0/action/send_proxy_protocol", "\"v1\""}}), "OK");
  EXPECT_EQ(relay_said({{"/routes/0/action/send_proxy_protocol", "\"v2\""}, {"/routes/0/action/proxy_tlvs", "{}"}}),
            "OK");
}

TEST(RelayConfig, ARouteToTheVpnHasNothingOfForwarding) {
  EXPECT_EQ(relay_said({{"/routes/0/action", R"({"type":"vpn"})"}}), "OK");
  EXPECT_EQ(relay_said({{"/routes/0/action", R"({"type":"forward"})"}}), "INVALID /routes/0/action/targets");
  struct Case {
    const char *key, *value;
  } cases[] = {{"targets", R"([{"host":"a.test","port":1}])"},
               {"targets", "[]"},
               {"balance", R"("round_robin")"},
               {"tls", "{}"},
               {"send_proxy_protocol", R"("v2")"},
               {"send_proxy_protocol", R"("off")"},
               {"proxy_tlvs", "{}"},
               {"half_open", "false"}};
  for (const auto& [key, value] : cases)
    EXPECT_EQ(relay_said({{"/routes/0/action", std::string(R"({"type":"vpn",")") + key + "\":" + value + "}"}}),
              std::string("INVALID /routes/0/action/") + key);
}

TEST(RelayDocument, IsPutTogetherKeyByKey) {
  Document document(Kind::relay);
  EXPECT_EQ(document.kind(), Kind::relay);
  EXPECT_EQ(outcome(document.validate()), "INVALID /listen");
  for (const Change& change : std::initializer_list<Change>{{"/listen/-/port", "443"},
                                                            {"/routes/0/match/domains/-", R"("a.test")"},
                                                            {"/routes/0/match/domains/1", R"("*.a.test")"},
                                                            {"/routes/0/match/ports", "[1,2]"},
                                                            {"/routes/0/action/targets/-/host", R"("b.test")"},
                                                            {"/routes/0/action/targets/0/port", R"("preserve")"}})
    EXPECT_EQ(outcome(document.set(change.pointer, change.value)), "OK") << change.pointer;
  EXPECT_EQ(outcome(document.validate()), "OK");
  EXPECT_EQ(nlohmann::json::parse(document.to_json(true)), nlohmann::json::parse(R"({"listen":[{"port":443}],
    "routes":[{"match":{"domains":["a.test","*.a.test"],"ports":[1,2]},
               "action":{"targets":[{"host":"b.test","port":"preserve"}]}}]})"));
  EXPECT_EQ(outcome(document.set("/routes/0/match/ports/0", "1")), "INVALID /routes/0/match/ports");
}

TEST(RelayDocument, ReadsBackTheSame) {
  auto document = Document::parse(kRelay, Kind::relay);
  ASSERT_TRUE(document);
  ASSERT_TRUE(document->set("/routes/0/match/ports", R"([{"from":1,"to":9},7])"));
  ASSERT_TRUE(document->set("/routes/0/name", "\"caf\xc3\xa9 \\\"\\\\\""));
  auto again = Document::parse(document->to_json(true), Kind::relay);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->to_json(true), document->to_json(true));
  EXPECT_EQ(again->relay_config()->routes[0].name, "caf\xc3\xa9 \"\\");
  EXPECT_TRUE(document->changes_to(*again).empty());
  auto clone = document->clone();
  EXPECT_EQ(clone.kind(), Kind::relay);
  EXPECT_EQ(clone.to_json(true), document->to_json(true));
}

TEST(RelayDocument, KindsDoNotMix) {
  auto relay = Document::parse(kRelay, Kind::relay);
  ASSERT_TRUE(relay);
  EXPECT_EQ(relay->server_config().error().status, Status::BAD_STATE);
  EXPECT_EQ(relay->tunnel_config().error().status, Status::BAD_STATE);
  EXPECT_EQ(Document(Kind::server).relay_config().error().status, Status::BAD_STATE);
  EXPECT_FALSE(Document::parse(kRelay, Kind::server));
  EXPECT_FALSE(Document::parse(R"({"server":"ws://a"})", Kind::relay));
}

std::string relay_changes(std::initializer_list<Change> before, std::initializer_list<Change> after) {
  auto present = *Document::parse(kRelay, Kind::relay), next = *Document::parse(kRelay, Kind::relay);
  for (const auto& change : before) EXPECT_EQ(outcome(present.set(change.pointer, change.value)), "OK");
  for (const auto& change : after) EXPECT_EQ(outcome(next.set(change.pointer, change.value)), "OK");
  std::string out;
  for (const auto& change : present.changes_to(next)) out += change.path + " " + effect_name(change.effect) + "\n";
  return out;
}

TEST(RelayDocument, ChangesSayWhatTheyTake) {
  EXPECT_EQ(relay_changes({}, {}), "");
  EXPECT_EQ(relay_changes({}, {{"/listen/0/port", "444"}}), "/listen applied\n");
  EXPECT_EQ(relay_changes({}, {{"/listen/1", R"({"port":1})"}}), "/listen applied\n");
  EXPECT_EQ(relay_changes({}, {{"/routes/0/action/targets/0/host", "\"b.test\""}}), "/routes applied\n");
  EXPECT_EQ(relay_changes({}, {{"/routes/1", R"({"action":{"type":"vpn"}})"}, {"/timeouts/idle_ms", "0"}}),
            "/routes applied\n/timeouts/idle_ms applied\n");
  EXPECT_EQ(relay_changes({{"/limits/connections", "5"}, {"/timeouts/connect_ms", "5000"}}, {{"/limits/threads", "2"}}),
            "/limits/connections applied\n/limits/threads needs_server_restart\n");
  EXPECT_EQ(relay_changes({}, {{"/limits/addresses", "16"}, {"/limits/event_queue", "16"}}),
            "/limits/addresses needs_server_restart\n/limits/event_queue needs_server_restart\n");
  EXPECT_EQ(relay_changes({}, {{"/security/ip_block_list", R"(["192.0.2.1"])"}}), "/security/ip_block_list applied\n");
  EXPECT_EQ(relay_changes({{"/security/ip_allow_list", "[]"}}, {{"/security/ip_block_list", "[]"}}), "");
}

TEST(RelayDocument, TakesOverWhatIsApplied) {
  auto present = *Document::parse(kRelay, Kind::relay), next = *Document::parse(kRelay, Kind::relay);
  ASSERT_TRUE(present.set("/timeouts/idle_ms", "5"));
  ASSERT_TRUE(next.set("/limits/threads", "2"));
  ASSERT_TRUE(next.set("/routes/1", R"({"name":"x","action":{"targets":[{"host":"b.test","port":"preserve"}]}})"));
  ASSERT_TRUE(next.set("/listen/0/address", "\"::\""));
  std::vector<KeyChange> applied;
  for (const auto& change : present.changes_to(next))
    if (change.effect == Effect::applied) applied.push_back(change);
  EXPECT_EQ(applied.size(), 3u);
  present.take(next, applied);
  EXPECT_EQ(present.changes_to(next), (std::vector<KeyChange>{{"/limits/threads", Effect::server_restart}}));
  const auto config = present.relay_config();
  ASSERT_TRUE(config);
  EXPECT_EQ(config->routes.size(), 2u);
  EXPECT_EQ(config->listen[0].address.text(), "::");
  EXPECT_EQ(config->timeouts.idle_ms, 3600000u);
  EXPECT_EQ(config->limits.threads, 1u);
}

}  // namespace
}  // namespace smartvpn::config
