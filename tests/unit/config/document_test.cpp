#include "config/document.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "unit/config/config_fixture.hpp"

namespace smartvpn::config {
namespace {

nlohmann::json tree(const Document& document, bool with_secrets = true) {
  return nlohmann::json::parse(document.to_json(with_secrets));
}

TEST(Document, IsPutTogetherKeyByKey) {
  Document document;
  EXPECT_EQ(outcome(document.validate()), "INVALID /listen");
  EXPECT_EQ(outcome(document.set("/listen/0/transport", "\"websocket\"")), "OK");
  EXPECT_EQ(outcome(document.set("/listen/0/port", "8443")), "OK");
  EXPECT_EQ(outcome(document.set("/listen/0/proxy_protocol/trusted_proxies/-", "\"10.0.0.1\"")), "OK");
  EXPECT_EQ(outcome(document.set("/listen/0/proxy_protocol/trusted_proxies/1", "\"10.0.0.2\"")), "OK");
  EXPECT_EQ(outcome(document.set("/listen/0/proxy_protocol/mode", "\"v2\"")), "OK");
  EXPECT_EQ(outcome(document.set("/keys/noise_private_key", "\"" + kKeyA + "\"")), "OK");
  EXPECT_EQ(outcome(document.validate()), "OK");
  EXPECT_EQ(tree(document)["listen"][0], nlohmann::json::parse(R"({"transport":"websocket","port":8443,
              "proxy_protocol":{"trusted_proxies":["10.0.0.1","10.0.0.2"],"mode":"v2"}})"));
}

TEST(Document, RefusedSetLeavesItAsItWas) {
  auto document = Document::parse(kServer);
  auto before = document->to_json(true);
  struct Case {
    const char* pointer;
    const char* value;
    const char* outcome;
  } cases[] = {{"/listen/0/prot", "1", "INVALID /listen/0/prot"},
               {"/listen/0/port", "70000", "INVALID /listen/0/port"},
               {"/listen/2/port", "1", "INVALID /listen/2"},
               {"/listen/01/port", "1", "INVALID /listen/01"},
               {"/listen/x/port", "1", "INVALID /listen/x"},
               {"/listen/-/port", "\"x\"", "INVALID /listen/1/port"},
               {"/listen/0/port/x", "1", "INVALID /listen/0/port"},
               {"/listen/0/transport", "\"quic\"", "UNSUPPORTED /listen/0/transport"},
               {"/listen/0/tls", "{\"key\":\"a\",\"key\":\"b\"}", "INVALID /listen/0/tls/key"},
               {"/listen/0/tls", "{\"key\":", "INVALID /listen/0/tls/key"},
               {"/clients/0/subnets/0", "\"x\"", "INVALID /clients/0/subnets/0"},
               {"listen", "[]", "INVALID "},
               {"/listen/0/~2", "1", "INVALID /listen/0/~2"},
               {"/listen/0/port", "", "INVALID /listen/0/port"},
               {"", "[]", "INVALID "},
               {"/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r", "1", "INVALID /a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r"}};
  for (const auto& c : cases) {
    EXPECT_EQ(outcome(document->set(c.pointer, c.value)), c.outcome) << c.pointer << " " << c.value;
    EXPECT_EQ(document->to_json(true), before);
  }
}

TEST(Document, NullRemoves) {
  auto document = Document::parse(kServer);
  EXPECT_EQ(outcome(document->set("/network/dns", R"(["10.8.0.1","10.8.0.2"])")), "OK");
  EXPECT_EQ(outcome(document->set("/network/dns/0", "null")), "OK");
  EXPECT_EQ(tree(*document)["network"]["dns"], nlohmann::json::parse(R"(["10.8.0.2"])"));
  EXPECT_EQ(outcome(document->set("/network", "null")), "OK");
  EXPECT_EQ(outcome(document->set("/network/mtu", "null")), "OK");
  EXPECT_FALSE(tree(*document).contains("network"));
  EXPECT_EQ(outcome(document->set("/keys/noise_private_key", "null")), "OK");
  EXPECT_EQ(outcome(document->validate()), "INVALID /keys/noise_private_key");
  EXPECT_EQ(outcome(document->set("", "null")), "OK");
  EXPECT_EQ(tree(*document), nlohmann::json::object());
}

TEST(Document, SecretsAreLeftOutUnlessAsked) {
  auto document = Document::parse(kServer);
  ASSERT_EQ(outcome(document->set("/keys/noise_next_private_key", "\"" + kKeyB + "\"")), "OK");
  ASSERT_EQ(outcome(document->set("/listen/0/tls", R"({"certificate":"c.pem","key":"k.pem"})")), "OK");
  ASSERT_EQ(outcome(document->set("/listen/-", R"({"transport":"websocket","port":1,"tls":{"certificate":"c.pem",
    "key":"-----BEGIN PRIVATE KEY-----\nTOPSECRET\n-----END PRIVATE KEY-----"}})")),
            "OK");
  auto text = document->to_json(false);
  for (auto secret : {kKeyA, kKeyB, std::string("TOPSECRET")}) EXPECT_EQ(text.find(secret), std::string::npos);
  EXPECT_EQ(tree(*document, false)["listen"][0]["tls"]["key"], "k.pem");
  EXPECT_TRUE(Document::parse(text).ok());
  EXPECT_EQ(tree(*document, true)["keys"]["noise_private_key"], kKeyA);
  EXPECT_EQ(outcome(document->validate()), "OK");
}

TEST(Document, ToJsonReadsBackTheSame) {
  auto document = Document::parse(kServer);
  auto again = Document::parse(document->to_json(true));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->to_json(true), document->to_json(true));
}

TEST(Document, KindsDoNotMix) {
  auto tunnel = Document::parse(kTunnel, Kind::tunnel);
  ASSERT_TRUE(tunnel.ok());
  EXPECT_EQ(tunnel->server_config().error().status, Status::BAD_STATE);
  EXPECT_TRUE(tunnel->tunnel_config().ok());
  EXPECT_EQ(Document().tunnel_config().error().status, Status::BAD_STATE);
  EXPECT_EQ(Document::parse(kTunnel).error().path, "/server");
}

TEST(Document, MovesItsContents) {
  Document a;
  ASSERT_TRUE(a.set("/network/mtu", "1400").ok());
  Document b(std::move(a));
  EXPECT_EQ(tree(b)["network"]["mtu"], 1400);
}

}  // namespace
}  // namespace smartvpn::config
