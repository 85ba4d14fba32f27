#include "config/tunnel_config.hpp"

#include <gtest/gtest.h>

#include "unit/config/config_fixture.hpp"

namespace smartvpn::config {
namespace {

TEST(TunnelConfig, DefaultsAreThoseOfTheKeyTable) {
  auto config = parse_tunnel_config(kTunnel);
  ASSERT_TRUE(config.ok()) << config.error().path << " " << config.error().text;
  EXPECT_EQ(config->server.text(), "ws://vpn.example.com/tunnel");
  EXPECT_EQ(format_key(config->keys.noise_private_key.view()), kKeyA);
  EXPECT_EQ(format_key(config->keys.server_public_key), kKeyB);
  EXPECT_EQ(config->proxy_protocol.send, TunnelProxyConfig::Send::off);
  EXPECT_TRUE(config->reconnect.enabled);
  EXPECT_EQ(find_key(Kind::tunnel, "/reconnect/initial_ms")->fallback, std::to_string(config->reconnect.initial_ms));
  EXPECT_EQ(find_key(Kind::tunnel, "/reconnect/max_ms")->fallback, std::to_string(config->reconnect.max_ms));
  EXPECT_EQ(config->keepalive_interval_ms, 0u);
  EXPECT_EQ(config->mtu, 0u);
  EXPECT_EQ(config->tun.routes, TunnelTunConfig::Routes::from_server);
  EXPECT_EQ(config->forwarding.mode, TunnelForwardingConfig::Mode::tun);
}

TEST(TunnelConfig, ReadsEveryKey) {
  const std::string pin(64, 'a');
  auto config = parse_tunnel_config(R"({"server":"wss://[2001:db8::7]:8443/x","keys":{"noise_private_key":")" + kKeyA +
                                    R"(","server_public_key":")" + kKeyB + R"("},
    "tls":{"ca":"/ca.pem","pinned_sha256":")" +
                                    pin + R"(","server_name":"h","verify":true},
    "proxy_protocol":{"send":"v2","source":"192.0.2.7:1","destination":"[2001:db8::1]:2"},
    "reconnect":{"enabled":false,"initial_ms":10,"max_ms":20},"keepalive_interval_ms":1000,"mtu":1300,
    "tun":{"name":"vpn1","routes":["10.0.0.0/8"]},"forwarding":{"mode":"tun"}})");
  ASSERT_TRUE(config.ok()) << config.error().path << " " << config.error().text;
  EXPECT_EQ(config->server.host, "2001:db8::7");
  EXPECT_EQ(config->tls.ca, "/ca.pem");
  EXPECT_EQ(config->tls.pinned_sha256->at(31), 0xaa);
  EXPECT_TRUE(config->tls.verify);
  EXPECT_EQ(config->proxy_protocol.source->text(), "192.0.2.7:1");
  EXPECT_EQ(config->proxy_protocol.destination->text(), "[2001:db8::1]:2");
  EXPECT_FALSE(config->reconnect.enabled);
  EXPECT_EQ(config->reconnect.max_ms, 20u);
  EXPECT_EQ(config->keepalive_interval_ms, 1000u);
  EXPECT_EQ(config->mtu, 1300);
  EXPECT_EQ(config->tun.routes, TunnelTunConfig::Routes::listed);
  EXPECT_EQ(config->tun.listed_routes.at(0).text(), "10.0.0.0/8");
}

TEST(TunnelConfig, Contradictions) {
  auto with = [](std::initializer_list<Change> changes) { return validated(Kind::tunnel, changes); };
  const Change tls{"/server", "\"wss://h\""};
  EXPECT_EQ(with({{"/tls", "{}"}}), "INVALID /tls");
  EXPECT_EQ(with({tls}), "INVALID /tls/ca");
  EXPECT_EQ(with({tls, {"/tls/ca", "\"/ca.pem\""}}), "OK");
  EXPECT_EQ(with({tls, {"/tls/verify", "false"}}), "OK");
  EXPECT_EQ(with({tls, {"/tls/verify", "false"}, {"/tls/ca", "\"/ca.pem\""}}), "INVALID /tls/verify");
  EXPECT_EQ(with({{"/proxy_protocol", R"({"send":"v1","source":"192.0.2.7:1"})"}}),
            "INVALID /proxy_protocol/destination");
  EXPECT_EQ(with({{"/proxy_protocol", R"({"source":"192.0.2.7:1","destination":"192.0.2.8:1"})"}}),
            "INVALID /proxy_protocol/send");
  EXPECT_EQ(with({{"/reconnect/max_ms", "499"}}), "INVALID /reconnect/max_ms");
  EXPECT_EQ(with({{"/tun/name", "\"x\""}, {"/forwarding/mode", "\"host\""}}), "INVALID /tun/name");
  EXPECT_EQ(with({{"/tun/routes", "false"}}), "OK");
  EXPECT_EQ(with({{"/tun/routes", "[\"10.0.0.1/8\"]"}}), "INVALID /tun/routes");
  EXPECT_EQ(with({{"/tun/routes", "\"all\""}}), "INVALID /tun/routes");
  EXPECT_EQ(with({{"/tun/routes/0", "\"10.0.0.0/8\""}}), "INVALID /tun/routes");
  EXPECT_EQ(with({{"/tls/pinned_sha256", "\"abc\""}}), "INVALID /tls/pinned_sha256");
  EXPECT_EQ(with({{"/keys/noise_private_key", "null"}}), "INVALID /keys/noise_private_key");
}

TEST(TunnelConfig, PinWithoutRootsDecidesAlone) {
  auto document = Document::parse(kTunnel, Kind::tunnel);
  ASSERT_TRUE(document->set("/server", "\"wss://h\"").ok());
  std::string pin;
  for (int i = 0; i < 32; ++i) pin += i ? ":0F" : "0F";
  ASSERT_TRUE(document->set("/tls/pinned_sha256", "\"" + pin + "\"").ok());
  auto config = document->tunnel_config();
  ASSERT_TRUE(config.ok());
  EXPECT_FALSE(config->tls.verify);
  EXPECT_EQ(config->tls.pinned_sha256->at(0), 0x0f);
}

TEST(TunnelConfig, WhatIsHandedOutIsWhatIsRead) {
  TunnelConfigSpec spec;
  spec.server_public_key = *parse_public_key(kKeyB);
  auto key = parse_secret_key(kKeyA);
  spec.noise_private_key = &*key;
  for (auto server : {"ws://192.0.2.7:8080/tunnel", "wss://vpn.example.com/tunnel", "wss://[2001:db8::7]/t"}) {
    for (int variant = 0; variant < 3; ++variant) {
      spec.server = server;
      spec.tls_ca = variant == 1 ? "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" : "";
      spec.tls_pinned_sha256.reset();
      if (variant == 2) spec.tls_pinned_sha256.emplace().fill(7);
      auto config = parse_tunnel_config(make_tunnel_config_json(spec));
      ASSERT_TRUE(config.ok()) << server << config.error().path << " " << config.error().text;
      EXPECT_EQ(config->server.text(), server);
      EXPECT_EQ(config->keys.noise_private_key, *key);
      EXPECT_EQ(config->tls.ca, config->server.tls ? spec.tls_ca : "");
    }
  }
}

TEST(TunnelConfig, KeyThatIsNotKeptStaysEmptyAndIsAskedFor) {
  TunnelConfigSpec spec;
  spec.server = "ws://h/tunnel";
  spec.server_public_key = *parse_public_key(kKeyB);
  auto text = make_tunnel_config_json(spec);
  EXPECT_NE(text.find(R"("noise_private_key": "")"), std::string::npos);
  auto config = parse_tunnel_config(text);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().path, "/keys/noise_private_key");
}

}  // namespace
}  // namespace smartvpn::config
