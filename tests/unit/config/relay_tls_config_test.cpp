// What a relay's route says of TLS; for builds that can end it.
#include <gtest/gtest.h>

#include "config/relay_config.hpp"
#include "unit/config/config_fixture.hpp"

namespace smartvpn::config {
namespace {

using TlsMode = RelayTlsConfig::Mode;

constexpr const char* kOneCertificate = R"([{"certificate":"/etc/a.pem","key":"/etc/a.key"}])";

Result<Document> tls_document(const std::string& tls) {
  return Document::parse(
      R"({"listen":[{"port":443}],"routes":[{"action":{"targets":[{"host":"a.test","port":1}],"tls":)" + tls + "}}]}",
      Kind::relay);
}
// "OK", or what is wrong, with the path from the route's tls on.
std::string tls_said(const std::string& tls) {
  auto document = tls_document(tls);
  if (!document) return outcome(Result<void>(document.error()));
  std::string said = outcome(document->validate());
  const std::string prefix = "INVALID /routes/0/action/tls/";
  return said.starts_with(prefix) ? said.substr(prefix.size()) : said;
}
RelayTlsConfig tls_read(const std::string& tls) {
  auto document = tls_document(tls);
  auto config = document->relay_config();
  EXPECT_TRUE(config.ok()) << (config ? "" : config.error().path);
  return config ? config->routes.at(0).action.tls : RelayTlsConfig{};
}
std::string tls_object(const std::string& mode, const std::string& more = "") {
  return R"({"mode":")" + mode + "\"" + (more.empty() ? "" : ",") + more + "}";
}
const std::string kCertificates = std::string(R"("certificates":)") + kOneCertificate;

TEST(RelayTlsConfig, ReadsTheModel) {
  const RelayTlsConfig tls = tls_read(R"({"mode":"terminate-and-reencrypt",
    "certificates":[{"certificate":"/etc/a.pem","key":"/etc/a.key"},{"certificate":"/etc/b.pem","key":"/etc/b.key"}],
    "alpn":["h2","http/1.1"],"target":{"ca":"/etc/ca.pem","server_name":"b.test","verify":true}})");
  EXPECT_EQ(tls.mode, TlsMode::reencrypt);
  ASSERT_EQ(tls.certificates.size(), 2u);
  EXPECT_EQ(tls.certificates[1].certificate, "/etc/b.pem");
  EXPECT_EQ(tls.certificates[1].key, "/etc/b.key");
  EXPECT_EQ(tls.alpn, (std::vector<std::string>{"h2", "http/1.1"}));
  EXPECT_EQ(tls.target_ca, "/etc/ca.pem");
  EXPECT_EQ(tls.target_name, "b.test");
  EXPECT_TRUE(tls.target_verify);
  EXPECT_EQ(tls_read(tls_object("terminate", kCertificates)).mode, TlsMode::terminate);
  EXPECT_FALSE(
      tls_read(tls_object("terminate-and-reencrypt", kCertificates + R"(,"target":{"verify":false})")).target_verify);
  EXPECT_EQ(tls_read("{}").mode, TlsMode::passthrough);
}

TEST(RelayTlsConfig, WhereItEndsThereAreCertificates) {
  for (const char* mode : {"terminate", "terminate-and-reencrypt"}) {
    EXPECT_EQ(tls_said(tls_object(mode)), "certificates");
    EXPECT_EQ(tls_said(tls_object(mode, R"("certificates":[])")), "certificates");
    EXPECT_EQ(tls_said(tls_object(mode, kCertificates)), "OK");
    EXPECT_EQ(tls_said(tls_object(mode, R"("certificates":[{"certificate":"a"}])")), "certificates/0/key");
    EXPECT_EQ(tls_said(tls_object(mode, R"("certificates":[{"certificate":"a","key":"b"},{"key":"b"}])")),
              "certificates/1/certificate");
  }
}

TEST(RelayTlsConfig, WhereItPassesThereIsNothingElse) {
  EXPECT_EQ(tls_said(tls_object("passthrough")), "OK");
  for (const std::string& mode : {tls_object("passthrough", kCertificates), "{" + kCertificates + "}"})
    EXPECT_EQ(tls_said(mode), "certificates");
  EXPECT_EQ(tls_said(R"({"alpn":["h2"]})"), "alpn");
  EXPECT_EQ(tls_said(R"({"target":{}})"), "target");
  EXPECT_EQ(tls_said(R"({"certificates":[],"alpn":[]})"), "OK");
}

TEST(RelayTlsConfig, HowATargetIsMetIsForOneModeAlone) {
  EXPECT_EQ(tls_said(tls_object("terminate", kCertificates + R"(,"target":{})")), "target");
  EXPECT_EQ(tls_said(tls_object("terminate", kCertificates + R"(,"target":{"verify":false})")), "target");
  auto reencrypt = [](const std::string& target) {
    return tls_said(tls_object("terminate-and-reencrypt", kCertificates + R"(,"target":)" + target));
  };
  EXPECT_EQ(reencrypt("{}"), "OK");
  EXPECT_EQ(reencrypt(R"({"ca":"/etc/ca.pem"})"), "OK");
  EXPECT_EQ(reencrypt(R"({"verify":false,"server_name":"b.test"})"), "OK");
  EXPECT_EQ(reencrypt(R"({"verify":false,"ca":"/etc/ca.pem"})"), "target/verify");
}

TEST(RelayTlsConfig, WrongTypesAndRanges) {
  for (const auto& [key, wrong] : std::vector<std::pair<std::string, std::string>>{
           {"mode", R"("none")"},
           {"mode", "1"},
           {"certificates", "{}"},
           {"certificates/0", "1"},
           {"certificates/0/certificate", R"("")"},
           {"certificates/0/key", "7"},
           {"alpn", R"("h2")"},
           {"alpn/0", R"("")"},
           {"alpn/0", R"("a\nb")"},
           {"alpn/0", "\"" + std::string(256, 'a') + "\""},
           {"alpn", R"(["1","2","3","4","5","6","7","8","9","a","b","c","d","e","f","g","h"])"},
           {"target", "[]"},
           {"target/verify", "0"},
           {"target/server_name", R"("")"},
           {"target/ca", "false"}}) {
    Document document(Kind::relay);
    const std::string path = "/routes/0/action/tls/" + key;
    EXPECT_EQ(outcome(document.set(path, wrong)), "INVALID " + path) << wrong;
  }
}

TEST(RelayTlsConfig, KeysAreSecretsAndTheirPathsAreNot) {
  auto document =
      tls_document(tls_object("terminate", R"("certificates":[{"certificate":"/etc/a.pem","key":"/etc/a.key"},
    {"certificate":"-----BEGIN CERTIFICATE-----\nPUBLIC\n-----END CERTIFICATE-----",
     "key":"-----BEGIN PRIVATE KEY-----\nTOPSECRET\n-----END PRIVATE KEY-----"}])"));
  ASSERT_TRUE(document);
  EXPECT_EQ(outcome(document->validate()), "OK");
  const std::string shown = document->to_json(false);
  EXPECT_EQ(shown.find("TOPSECRET"), std::string::npos);
  EXPECT_NE(shown.find("PUBLIC"), std::string::npos);
  EXPECT_NE(shown.find("/etc/a.key"), std::string::npos);
  EXPECT_NE(document->to_json(true).find("TOPSECRET"), std::string::npos);
  auto other = document->clone();
  ASSERT_TRUE(other.set("/routes/0/action/tls/certificates/1/key",
                        R"("-----BEGIN PRIVATE KEY-----\nANOTHER\n-----END PRIVATE KEY-----")"));
  EXPECT_EQ(document->changes_to(other), (std::vector<KeyChange>{{"/routes", Effect::applied}}));
}

}  // namespace
}  // namespace smartvpn::config
