#include "config/server_config.hpp"

#include <gtest/gtest.h>

#include "unit/config/config_fixture.hpp"

namespace smartvpn::config {
namespace {

std::string parsed(std::string_view json) {
  auto config = parse_server_config(json);
  return config ? "OK" : outcome(Result<void>(config.error()));
}

TEST(ServerConfig, ReadsTheModelOfTheManual) {
  auto config = parse_server_config(R"({
    "listen": [{"transport": "websocket", "address": "::", "port": 8443, "path": "/tunnel",
      "tls": {"certificate": "/etc/c.pem", "key": "/etc/k.pem"}, "public_url": "wss://vpn.example.com/tunnel",
      "proxy_protocol": {"mode": "v2", "trusted_proxies": ["10.0.0.0/8", "2001:db8::/32"], "header_timeout_ms": 6000,
                         "local": "health", "addressless": "refuse", "max_header_bytes": 536}}],
    "keys": {"noise_private_key": ")" +
                                    kKeyA + R"(", "noise_next_private_key": ")" + kKeyB + R"("},
    "network": {"subnets": ["fd00:9::/64", "10.9.0.0/24"], "mtu": 1380, "dns": ["10.9.0.1"], "routes": ["0.0.0.0/0"],
                "client_to_client": true, "host_services": ["icmp_echo"], "multicast": true},
    "forwarding": {"mode": "testing"},
    "security": {"connection_ip_block_list": ["203.0.113.0/24"], "max_connections_per_ip": 7,
      "new_connections_per_ip_per_minute": 8, "max_handshakes_in_progress": 9, "upgrade_timeout_ms": 2000, "authorize": "off"},
    "session": {"keepalive_interval_ms": 5000},
    "registry": {"store": "memory", "keep_private_keys": true},
    "limits": {"threads": 1, "memory_bytes": 1000000000000, "sessions": 50, "event_queue": 64},
    "clients": [{"id": "alice-laptop", "noise_public_key": ")" +
                                    kKeyB + R"(", "enabled": false,
      "expires_at": "2026-12-31T23:59:59Z", "addresses": ["10.9.0.7", "fd00:9::7"], "description": "d", "tags": ["a", "b"],
      "security": {"ip_allow_list": ["198.51.100.0/24"], "ip_block_list": ["198.51.100.7"]}},
      {"id": "bob", "noise_public_key": ")" +
                                    kKeyA + R"(", "expires_at": 1234, "max_sessions": 3}]
  })");
  ASSERT_TRUE(config.ok()) << config.error().path << " " << config.error().text;
  const auto& listener = config->listen.at(0);
  EXPECT_EQ(listener.address.text(), "[::]:8443");
  EXPECT_EQ(listener.tls->certificate, "/etc/c.pem");
  EXPECT_EQ(listener.public_url, "wss://vpn.example.com/tunnel");
  EXPECT_EQ(listener.proxy_protocol.mode, ProxyProtocolConfig::Mode::v2);
  EXPECT_EQ(listener.proxy_protocol.trusted_proxies.at(1), "2001:db8::/32");
  EXPECT_EQ(listener.proxy_protocol.header_timeout_ms, 6000u);
  EXPECT_EQ(listener.proxy_protocol.local, ProxyProtocolConfig::Local::health);
  EXPECT_EQ(listener.proxy_protocol.addressless, ProxyProtocolConfig::Addressless::refuse);
  EXPECT_EQ(listener.proxy_protocol.max_header_bytes, 536u);
  EXPECT_EQ(listener.keepalive_interval_ms, 5000u);
  EXPECT_EQ(format_key(config->keys.noise_private_key->view()), kKeyA);
  EXPECT_EQ(format_key(config->keys.noise_next_private_key->view()), kKeyB);
  EXPECT_EQ(config->network.subnets.at(0).text(), "10.9.0.0/24");
  EXPECT_EQ(config->network.subnets.at(1).text(), "fd00:9::/64");
  EXPECT_EQ(gateway_of(config->network.subnets[1]).text(), "fd00:9::1");
  EXPECT_EQ(config->network.routes.at(0).text(), "0.0.0.0/0");
  EXPECT_EQ(config->network.mtu, 1380);
  EXPECT_TRUE(config->network.client_to_client && config->network.multicast && config->network.host_services.icmp_echo);
  EXPECT_FALSE(config->network.host_services.dns);
  EXPECT_EQ(config->forwarding.mode, ForwardingConfig::Mode::testing);
  EXPECT_EQ(config->security.max_connections_per_ip, 7u);
  EXPECT_EQ(config->security.new_connections_per_ip_per_minute, 8u);
  EXPECT_EQ(config->security.max_handshakes_in_progress, 9u);
  EXPECT_EQ(config->security.upgrade_timeout_ms, 2000u);
  EXPECT_TRUE(config->registry.keep_private_keys);
  EXPECT_EQ(config->limits.memory_bytes, 1000000000000u);
  EXPECT_EQ(config->limits.event_queue, 64u);
  const auto& alice = config->clients.at(0);
  EXPECT_EQ(alice.id, "alice-laptop");
  EXPECT_FALSE(alice.enabled);
  EXPECT_EQ(alice.expires_at_ms, 1798761599000);
  EXPECT_EQ(alice.addresses.at(1).text(), "fd00:9::7");
  EXPECT_EQ(alice.tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(alice.security.ip_block_list.at(0), "198.51.100.7");
  EXPECT_EQ(config->clients.at(1).expires_at_ms, 1234);
  EXPECT_EQ(config->clients.at(1).max_sessions, 3u);
}

TEST(ServerConfig, DefaultsAreThoseOfTheKeyTable) {
  auto config = server_with({});
  auto is = [](const char* path, const std::string& value) {
    EXPECT_EQ(find_key(Kind::server, path)->fallback, value) << path;
  };
  const auto& listener = config.listen.at(0);
  is("/listen/*/path", "\"" + listener.path + "\"");
  is("/listen/*/address", "\"" + listener.address.ip.text() + "\"");
  is("/listen/*/proxy_protocol/header_timeout_ms", std::to_string(listener.proxy_protocol.header_timeout_ms));
  is("/listen/*/proxy_protocol/max_header_bytes", std::to_string(listener.proxy_protocol.max_header_bytes));
  EXPECT_EQ(listener.proxy_protocol.mode, ProxyProtocolConfig::Mode::off);
  EXPECT_EQ(listener.proxy_protocol.local, ProxyProtocolConfig::Local::close);
  EXPECT_EQ(listener.proxy_protocol.addressless, ProxyProtocolConfig::Addressless::accept);
  is("/network/mtu", std::to_string(config.network.mtu));
  is("/network/subnets",
     "[\"" + config.network.subnets.at(0).text() + "\",\"" + config.network.subnets.at(1).text() + "\"]");
  EXPECT_EQ(config.network.routes, config.network.subnets);
  EXPECT_TRUE(config.network.host_services.dns && config.network.host_services.icmp_echo);
  EXPECT_FALSE(config.network.client_to_client || config.network.multicast || config.registry.keep_private_keys);
  EXPECT_EQ(config.forwarding.mode, ForwardingConfig::Mode::tun);
  is("/security/max_connections_per_ip", std::to_string(config.security.max_connections_per_ip));
  is("/security/new_connections_per_ip_per_minute", std::to_string(config.security.new_connections_per_ip_per_minute));
  is("/security/max_handshakes_in_progress", std::to_string(config.security.max_handshakes_in_progress));
  is("/security/upgrade_timeout_ms", std::to_string(config.security.upgrade_timeout_ms));
  is("/limits/threads", std::to_string(config.limits.threads));
  is("/limits/memory_bytes", std::to_string(config.limits.memory_bytes));
  is("/limits/sessions", std::to_string(config.limits.sessions));
  is("/limits/event_queue", std::to_string(config.limits.event_queue));
}

TEST(ServerConfig, KeepaliveIsShorterBehindProxiesUnlessSet) {
  const Change proxied{"/listen/0/proxy_protocol", R"({"mode":"any","trusted_proxies":["10.0.0.1"]})"};
  EXPECT_EQ(server_with({proxied}).listen[0].keepalive_interval_ms, 20000u);
  EXPECT_EQ(server_with({proxied, {"/session/keepalive_interval_ms", "30000"}}).listen[0].keepalive_interval_ms,
            30000u);
}

TEST(ServerConfig, BrokenTextSaysWhere) {
  auto config = parse_server_config("{\n  \"keys\": {,\n");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().path, "/keys");
  EXPECT_EQ(config.error().text, "not JSON at line 2, column 12");
  for (auto text : {"", "null", "[]", "\"x\"", "{} x", "{'a':1}", "{\"a\":1,}", "\xFF", "{\"keys\":{\"\xFF\":1}}"})
    EXPECT_EQ(parsed(text).substr(0, 7), "INVALID") << text;
}

TEST(ServerConfig, ErrorsNeverQuoteSecrets) {
  for (std::string text :
       {R"({"keys":{"noise_private_key":"c2VjcmV0c2VjcmV0)", R"({"keys":{"noise_private_key":"c2VjcmV0c2VjcmV0"}})",
        R"({"keys":{"noise_private_key":c2VjcmV0c2VjcmV0}})"}) {
    auto config = parse_server_config(text);
    ASSERT_FALSE(config);
    EXPECT_EQ((config.error().text + config.error().path).find("c2VjcmV0"), std::string::npos) << config.error().text;
  }
}

TEST(ServerConfig, RepeatedKeysAreErrorsWithTheirPath) {
  EXPECT_EQ(parsed(R"({"network":{"mtu":1400,"mtu":1300}})"), "INVALID /network/mtu");
  EXPECT_EQ(parsed(R"({"listen":[{},{"tls":{"key":"a","key":"b"}}]})"), "INVALID /listen/1/tls/key");
}

TEST(ServerConfig, DeepNestingIsRefusedBeforeATreeIsBuilt) {
  EXPECT_EQ(parsed("{\"a\":" + std::string(100000, '[')).substr(0, 7), "INVALID");
}

TEST(ServerConfig, UnknownKeyNamesTheNearest) {
  auto config = parse_server_config(R"({"listen":[{"transport":"websocket","prot":8443}]})");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().path, "/listen/0/prot");
  EXPECT_EQ(config.error().text, "unknown key; did you mean \"port\"?");
  EXPECT_EQ(parsed(R"({"a/b~c":1})"), "INVALID /a~1b~0c");
}

TEST(ServerConfig, WrongTypesAndRanges) {
  struct Case {
    const char* pointer;
    const char* value;
  } cases[] = {{"/listen", "{}"},
               {"/listen/0", "[]"},
               {"/listen/0/port", "\"8443\""},
               {"/listen/0/port", "65536"},
               {"/listen/0/port", "-1"},
               {"/listen/0/port", "8443.0"},
               {"/listen/0/port", "1e3"},
               {"/listen/0/path", "\"tunnel\""},
               {"/listen/0/address", "\"localhost\""},
               {"/listen/0/public_url", "\"https://h\""},
               {"/listen/0/transport", "\"tcp\""},
               {"/listen/0/proxy_protocol/mode", "\"v3\""},
               {"/listen/0/proxy_protocol/header_timeout_ms", "2999"},
               {"/listen/0/proxy_protocol/trusted_proxies/0", "\"proxy.example\""},
               {"/keys/noise_private_key", "\"AAAA\""},
               {"/keys/noise_private_key", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""},
               {"/keys/noise_private_key", "\"\""},
               {"/network/mtu", "575"},
               {"/network/mtu", "9001"},
               {"/network/subnets/0", "\"10.8.0.1/24\""},
               {"/network/subnets/0", "\"10.8.0.0/33\""},
               {"/network/dns/0", "\"10.8.0.0/24\""},
               {"/network/client_to_client", "1"},
               {"/network/host_services/0", "\"ssh\""},
               {"/tun/name", "\"a name far too long\""},
               {"/limits/threads", "0"},
               {"/limits/threads", "65"},
               {"/limits/memory_bytes", "18446744073709551615"},
               {"/limits/memory_bytes", "99999999999999999999999"},
               {"/clients/0/id", "\"\""},
               {"/clients/0/id", "\"a\\u0000b\""},
               {"/clients/0/expires_at", "\"tomorrow\""},
               {"/clients/0/expires_at", "-5"},
               {"/clients/0/max_sessions", "0"},
               {"/clients/0/wireguard_public_key", "\"x\""},
               {"/clients/0/wireguard_preshared_key", "\"x\""},
               {"/clients/0/subnets/0", "\"192.168.7.1/24\""},
               {"/clients/0/allow_overlap", "1"},
               {"/clients/0/transports/0", "\"tcp\""},
               {"/clients/0/session_policy", "\"drop\""},
               {"/clients/0/priority", "65536"},
               {"/clients/0/security/destination_allow_list/0", "\"x\""},
               {"/clients/0/security/rate_limit/to_client_bytes_per_second", "-1"},
               {"/keys/wireguard_private_key", "\"x\""},
               {"/registry/store", "\"file\""},
               {"/registry/keep_private_keys", "1"},
               {"/network", "true"}};
  for (const auto& c : cases)
    EXPECT_EQ(validated(Kind::server, {{c.pointer, c.value}}), std::string("INVALID ") + c.pointer) << c.value;
}

TEST(ServerConfig, KnownButNotBuiltIsUnsupportedNeverUnknown) {
  struct Case {
    const char* pointer;
    const char* value;
  } cases[] = {
      {"/listen/0/transport", "\"quic\""}, {"/forwarding/mode", "\"nat\""}, {"/forwarding/mode", "\"bridge\""}};
  for (const auto& c : cases)
    EXPECT_EQ(validated(Kind::server, {{c.pointer, c.value}}), std::string("UNSUPPORTED ") + c.pointer) << c.value;
  EXPECT_EQ(validated(Kind::server, {{"/network/subnets", R"(["10.8.0.0/24","10.9.0.0/24"])"}}),
            "UNSUPPORTED /network/subnets/1");
}

// The base with a WireGuard listener beside the first one.
constexpr const char* kWireguard = R"({"transport":"wireguard","port":51820})";

TEST(ServerConfig, AWireguardListenerNeedsItsKeyAndNoOther) {
  const std::string quoted = "\"" + kKeyB + "\"";
  EXPECT_EQ(validated(Kind::server, {{"/listen/1", kWireguard}}), "INVALID /keys/wireguard_private_key");
  EXPECT_EQ(validated(Kind::server, {{"/listen/1", kWireguard}, {"/keys/wireguard_private_key", quoted}}), "OK");
  EXPECT_EQ(validated(Kind::server, {{"/listen/0", kWireguard},
                                     {"/keys/wireguard_private_key", quoted},
                                     {"/keys/noise_private_key", "null"}}),
            "OK");
  auto config = server_with({{"/listen/1", kWireguard}, {"/keys/wireguard_private_key", quoted}});
  EXPECT_EQ(config.listen[1].transport, Transport::wireguard);
  EXPECT_EQ(config.wireguard.session_timeout_s, 180u);
  EXPECT_EQ(config.wireguard.persistent_keepalive_s, 25u);
  EXPECT_EQ(validated(Kind::server, {{"/wireguard/session_timeout_s", "179"}}), "INVALID /wireguard/session_timeout_s");
  EXPECT_EQ(validated(Kind::server, {{"/wireguard/persistent_keepalive_s", "65536"}}),
            "INVALID /wireguard/persistent_keepalive_s");
}

TEST(ServerConfig, AUapiSocketIsAPathOrAnInterfaceNameBesideAWireguardListener) {
  const std::string quoted = "\"" + kKeyB + "\"";
  auto said = [&](const std::string& socket) {
    return validated(Kind::server, {{"/listen/1", kWireguard},
                                    {"/keys/wireguard_private_key", quoted},
                                    {"/wireguard/uapi_socket", "\"" + socket + "\""}});
  };
  for (const char* good : {"", "wg0", "a_=+.-9", "fifteen-letters", "/run/vpn/uapi.sock"}) EXPECT_EQ(said(good), "OK");
  for (const std::string bad : {"sixteen-letters.", "wg 0", "folder/wg0", ".", "..", "wg%n"})
    EXPECT_EQ(said(bad), "INVALID /wireguard/uapi_socket") << bad;
  EXPECT_EQ(said("/" + std::string(107, 'x')), "INVALID /wireguard/uapi_socket") << "longer than a socket's path";
  EXPECT_EQ(validated(Kind::server, {{"/wireguard/uapi_socket", "\"wg0\""}}), "INVALID /wireguard/uapi_socket");
}

TEST(ServerConfig, WhatAWireguardListenerHasNotIsAnErrorThatNamesTheKey) {
  const std::string quoted = "\"" + kKeyB + "\"";
  const Change wrong[] = {
      {"/listen/1/path", R"("/tunnel")"},
      {"/listen/1/public_url", R"("ws://vpn.example.com")"},
      {"/listen/1/tls", R"({"certificate":"c.pem","key":"k.pem"})"},
      {"/listen/1/real_ip_header", R"("forwarded")"},
      {"/listen/1/real_ip_trusted_proxies", R"(["10.0.0.0/8"])"},
      {"/listen/1/proxy_protocol/mode", R"("v1")"},
      {"/listen/1/proxy_protocol/mode", R"("any")"},
      {"/listen/1/proxy_protocol/header_timeout_ms", "4000"},
      {"/listen/1/proxy_protocol/local", R"("health")"},
      {"/listen/1/proxy_protocol/max_header_bytes", "500"},
  };
  for (const Change& change : wrong)
    EXPECT_EQ(validated(Kind::server, {{"/listen/1", kWireguard}, {"/keys/wireguard_private_key", quoted}, change}),
              std::string("INVALID ") + change.pointer);
  EXPECT_EQ(validated(Kind::server, {{"/listen/1", kWireguard},
                                     {"/keys/wireguard_private_key", quoted},
                                     {"/listen/1/proxy_protocol",
                                      R"({"mode":"v2","trusted_proxies":["10.0.0.0/8"],"addressless":"refuse"})"}}),
            "OK");
}

TEST(ServerConfig, TcpAndUdpShareAPortAndTwoWireguardListenersDoNot) {
  const std::string quoted = "\"" + kKeyB + "\"";
  const char* same_number = R"({"transport":"wireguard","port":8443})";
  EXPECT_EQ(validated(Kind::server, {{"/listen/1", same_number}, {"/keys/wireguard_private_key", quoted}}), "OK");
  EXPECT_EQ(
      validated(Kind::server,
                {{"/listen/1", same_number}, {"/listen/2", same_number}, {"/keys/wireguard_private_key", quoted}}),
      "INVALID /listen/2/port");
}

TEST(ServerConfig, AClientHasAKeyOfOneKindAtLeast) {
  EXPECT_EQ(validated(Kind::server, {{"/clients", R"([{"id":"phone"}])"}}), "INVALID /clients/0/noise_public_key");
  EXPECT_EQ(validated(Kind::server, {{"/clients", R"([{"id":"phone","wireguard_public_key":")" + kKeyA + "\"}," +
                                                      R"({"id":"pad","wireguard_public_key":")" + kKeyB + "\"}]"}}),
            "OK");
}

TEST(ServerConfig, TheHostIsAskedWhereItIsRequired) {
  EXPECT_FALSE(server_with({}).security.authorize);
  auto asked = server_with({{"/security/authorize", "\"required\""}, {"/security/authorize_timeout_ms", "100"}});
  EXPECT_TRUE(asked.security.authorize);
  EXPECT_EQ(asked.security.authorize_timeout_ms, 100u);
  EXPECT_EQ(validated(Kind::server, {{"/security/authorize", "\"maybe\""}}), "INVALID /security/authorize");
  EXPECT_EQ(validated(Kind::server, {{"/security/authorize_timeout_ms", "60001"}}),
            "INVALID /security/authorize_timeout_ms");
}

TEST(ServerConfig, ARealIpHeaderNeedsItsListAndTheListAHeader) {
  const char* header = "/listen/0/real_ip_header";
  const char* list = "/listen/0/real_ip_trusted_proxies";
  auto with = server_with({{header, "\"X-Forwarded-For\""}, {list, R"(["10.0.0.0/8"])"}});
  EXPECT_EQ(with.listen[0].real_ip_header, "x-forwarded-for");
  EXPECT_EQ(with.listen[0].keepalive_interval_ms, 20000u);
  EXPECT_EQ(validated(Kind::server, {{header, "\"forwarded\""}}), std::string("INVALID ") + list);
  EXPECT_EQ(validated(Kind::server, {{list, R"(["10.0.0.0/8"])"}}), std::string("INVALID ") + header);
  EXPECT_EQ(validated(Kind::server, {{header, "\"no header\""}, {list, R"(["10.0.0.0/8"])"}}),
            std::string("INVALID ") + header);
}

TEST(ServerConfig, MissingKeysAndEmptyLists) {
  EXPECT_EQ(parsed("{}"), "INVALID /listen");
  EXPECT_EQ(parsed(R"({"listen":[]})"), "INVALID /listen");
  EXPECT_EQ(parsed(R"({"listen":[{"port":1}]})"), "INVALID /listen/0/transport");
  EXPECT_EQ(parsed(R"({"listen":[{"transport":"websocket","port":1}]})"), "INVALID /keys/noise_private_key");
  EXPECT_EQ(validated(Kind::server, {{"/listen/0/tls", R"({"certificate":"c"})"}}), "INVALID /listen/0/tls/key");
  EXPECT_EQ(validated(Kind::server, {{"/clients", R"([{"id":"a"}])"}}), "INVALID /clients/0/noise_public_key");
}

TEST(ServerConfig, ListenersBindOnceAndInOneWay) {
  EXPECT_EQ(
      server_with({{"/listen/0/port", "null"}, {"/listen/0/address", "\"192.0.2.7:80\""}}).listen[0].address.text(),
      "192.0.2.7:80");
  EXPECT_EQ(server_with({{"/listen/0/port", "null"}, {"/listen/0/fd", "5"}}).listen[0].fd, 5);
  EXPECT_EQ(validated(Kind::server, {{"/listen/0/port", "null"}}), "INVALID /listen/0/port");
  EXPECT_EQ(validated(Kind::server, {{"/listen/0/address", "\"192.0.2.7:80\""}}), "INVALID /listen/0/port");
  EXPECT_EQ(validated(Kind::server, {{"/listen/0/fd", "5"}}), "INVALID /listen/0/fd");
  const char* same = R"({"transport":"websocket","port":8443})";
  EXPECT_EQ(validated(Kind::server, {{"/listen/-", same}}), "INVALID /listen/1/port");
  EXPECT_EQ(validated(Kind::server, {{"/listen/0/port", "0"}, {"/listen/-", R"({"transport":"websocket","port":0})"}}),
            "OK");
}

TEST(ServerConfig, ProxyProtocolNeedsItsListAndTheListAMode) {
  EXPECT_EQ(validated(Kind::server, {{"/listen/0/proxy_protocol/mode", "\"v2\""}}),
            "INVALID /listen/0/proxy_protocol/trusted_proxies");
  EXPECT_EQ(validated(Kind::server, {{"/listen/0/proxy_protocol/mode", "\"v1\""},
                                     {"/listen/0/proxy_protocol/trusted_proxies", "[]"}}),
            "INVALID /listen/0/proxy_protocol/trusted_proxies");
  EXPECT_EQ(validated(Kind::server, {{"/listen/0/proxy_protocol/trusted_proxies/-", "\"10.0.0.0/8\""}}),
            "INVALID /listen/0/proxy_protocol/mode");
}

TEST(ServerConfig, SubnetsAreUsableAndApart) {
  auto with = [](const char* subnets) { return validated(Kind::server, {{"/network/subnets", subnets}}); };
  EXPECT_EQ(with(R"(["10.8.0.0/24"])"), "OK");
  EXPECT_EQ(with(R"(["fd00::/48"])"), "OK");
  EXPECT_EQ(with("[]"), "INVALID /network/subnets");
  EXPECT_EQ(with(R"(["10.8.0.0/16","10.8.3.0/24"])"), "INVALID /network/subnets/1");
  for (auto subnet :
       {"10.8.0.0/31", "0.0.0.0/0", "127.0.0.0/8", "224.0.0.0/24", "fe80::/64", "fd00::/127", "::/64", "ff02::/64"})
    EXPECT_EQ(with(("[\"" + std::string(subnet) + "\"]").c_str()), "INVALID /network/subnets/0") << subnet;
  EXPECT_EQ(validated(Kind::server, {{"/network/mtu", "1279"}}), "INVALID /network/mtu");
  EXPECT_EQ(validated(Kind::server, {{"/network/mtu", "1279"}, {"/network/subnets", R"(["10.8.0.0/24"])"}}), "OK");
}

TEST(ServerConfig, ClientsAreUniqueAndTheirAddressesAssignable) {
  auto client = [](const std::string& id, const std::string& key, const std::string& more) {
    return R"({"id":")" + id + R"(","noise_public_key":")" + key + "\"" + more + "}";
  };
  auto with = [](const std::string& a, const std::string& b) {
    return validated(Kind::server, {{"/clients", "[" + a + "," + b + "]"}});
  };
  auto one = [&](const std::string& more) {
    return validated(Kind::server, {{"/clients", "[" + client("a", kKeyA, more) + "]"}});
  };
  EXPECT_EQ(with(client("a", kKeyA, ""), client("b", kKeyB, "")), "OK");
  EXPECT_EQ(with(client("a", kKeyA, ""), client("a", kKeyB, "")), "INVALID /clients/1/id");
  EXPECT_EQ(with(client("a", kKeyA, ""), client("b", kKeyA, "")), "INVALID /clients/1/noise_public_key");
  const std::string fixed = R"(,"addresses":["10.8.0.7"])";
  EXPECT_EQ(with(client("a", kKeyA, fixed), client("b", kKeyB, fixed)), "INVALID /clients/1/addresses/0");
  EXPECT_EQ(one(R"(,"addresses":["10.8.0.7","fd00:8::7"])"), "OK");
  EXPECT_EQ(one(R"(,"addresses":["10.8.0.7","10.8.0.8"])"), "INVALID /clients/0/addresses/1");
  for (auto address : {"10.8.0.0", "10.8.0.1", "10.8.0.255", "10.9.0.7", "fd00:8::", "fd00:8::1", "192.0.2.1"})
    EXPECT_EQ(one(R"(,"addresses":[")" + std::string(address) + "\"]"), "INVALID /clients/0/addresses/0") << address;
  EXPECT_EQ(one(R"(,"max_sessions":2)"), "OK");
  EXPECT_EQ(one(R"(,"max_sessions":2,"addresses":["10.8.0.7"])"), "INVALID /clients/0/max_sessions");
}

TEST(ServerConfig, ReadsEveryKeyOfAClient) {
  auto config = parse_server_config(R"({"listen":[{"transport":"websocket","port":1}],"keys":{"noise_private_key":")" +
                                    kKeyA + R"(","wireguard_private_key":")" + kKeyB + R"("},
    "network":{"wireguard_endpoint":"vpn.example.com:51820"},
    "clients":[{"id":"site","noise_public_key":")" +
                                    kKeyA + R"(","wireguard_public_key":")" + kKeyB + R"(",
      "wireguard_preshared_key":")" +
                                    kKeyB + R"(","subnets":["192.168.7.0/24","fd77::/48"],"allow_overlap":true,
      "transports":["websocket","wireguard"],"session_policy":"refuse-new","priority":7,
      "security":{"destination_allow_list":["192.0.2.0/24"],"destination_block_list":["192.0.2.9"],
        "rate_limit":{"from_client_bytes_per_second":1,"from_client_burst_bytes":2,"to_client_bytes_per_second":3,
                      "to_client_burst_bytes":4}}}]})");
  ASSERT_TRUE(config) << config.error().path << " " << config.error().text;
  EXPECT_EQ(format_key(config->keys.wireguard_private_key->view()), kKeyB);
  EXPECT_EQ(config->network.wireguard_endpoint, "vpn.example.com:51820");
  const ClientConfig& site = config->clients.at(0);
  EXPECT_EQ(format_key(*site.wireguard_public_key), kKeyB);
  EXPECT_EQ(format_key(site.wireguard_preshared_key->view()), kKeyB);
  EXPECT_EQ(site.subnets.at(1).text(), "fd77::/48");
  EXPECT_TRUE(site.allow_overlap);
  EXPECT_EQ(site.transports, (std::vector<Transport>{Transport::websocket, Transport::wireguard}));
  EXPECT_EQ(site.session_policy, SessionPolicy::refuse_new);
  EXPECT_EQ(site.priority, 7u);
  EXPECT_EQ(site.security.destination_allow_list.at(0), "192.0.2.0/24");
  EXPECT_EQ(site.security.destination_block_list.at(0), "192.0.2.9");
  EXPECT_EQ(site.security.rate_limit, (RateLimitConfig{1, 2, 3, 4}));
}

TEST(ServerConfig, ClientsSubnetsAreApartAndHaveOneWay) {
  auto client = [](const std::string& id, const std::string& key, const std::string& more) {
    return R"({"id":")" + id + R"(","noise_public_key":")" + key + "\"" + more + "}";
  };
  auto with = [&](const std::string& a, const std::string& b) {
    return validated(Kind::server,
                     {{"/clients", "[" + client("a", kKeyA, "," + a) + "," + client("b", kKeyB, "," + b) + "]"}});
  };
  const std::string site = R"("subnets":["192.168.0.0/16"])";
  EXPECT_EQ(with(site, R"("subnets":["192.169.0.0/16"])"), "OK");
  EXPECT_EQ(with(site, site), "INVALID /clients/1/subnets/0");
  EXPECT_EQ(with(site, site + R"(,"allow_overlap":true)"), "INVALID /clients/1/subnets/0");
  EXPECT_EQ(with(site, R"("subnets":["10.1.0.0/16","192.168.7.0/24"])"), "INVALID /clients/1/subnets/1");
  EXPECT_EQ(with(site, R"("subnets":["192.168.7.0/24"],"allow_overlap":true)"), "OK");
  for (auto subnet : {"10.8.0.0/16", "0.0.0.0/0", "::/0", "fd00:8::/96", "127.0.0.0/8"})
    EXPECT_EQ(with(R"("subnets":[")" + std::string(subnet) + "\"]", R"("tags":[])"), "INVALID /clients/0/subnets/0")
        << subnet;
  EXPECT_EQ(with(R"("subnets":["10.1.0.0/16","10.1.0.0/16"])", R"("tags":[])"), "INVALID /clients/0/subnets/1");
  EXPECT_EQ(with(site + R"(,"max_sessions":2)", R"("tags":[])"), "INVALID /clients/0/max_sessions");
  const std::string wireguard = R"("wireguard_public_key":")" + kKeyB + "\"";
  EXPECT_EQ(with(wireguard, wireguard), "INVALID /clients/1/wireguard_public_key");
}

TEST(ServerConfig, OtherContradictions) {
  EXPECT_EQ(validated(Kind::server, {{"/tun/name", "\"vpn0\""}}), "OK");
  EXPECT_EQ(validated(Kind::server, {{"/tun/name", "\"vpn0\""}, {"/forwarding/mode", "\"host\""}}),
            "INVALID /tun/name");
  EXPECT_EQ(validated(Kind::server, {{"/keys/noise_next_private_key", "\"" + kKeyA + "\""}}),
            "INVALID /keys/noise_next_private_key");
  EXPECT_EQ(validated(Kind::server,
                      {{"/listen/0/tls", R"({"certificate":"c","key":"k"})"}, {"/listen/0/public_url", "\"ws://h\""}}),
            "INVALID /listen/0/public_url");
}

}  // namespace
}  // namespace smartvpn::config
