// Headers that other programs sent: HAProxy 2.6 and AWS Network Load Balancers.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "proxyproto/tlv.hpp"
#include "proxyproto/writer.hpp"
#include "support/proxy_headers.hpp"

namespace smartvpn::proxyproto {
namespace {

using namespace testing;

nlohmann::json recorded() {
  std::ifstream file(std::string(SMARTVPN_VECTORS_DIR) + "/proxy_protocol_headers.json");
  return nlohmann::json::parse(file)["headers"];
}

TEST(RecordedHeaders, AreReadAsTheirSendersMeantThem) {
  auto all = recorded();
  ASSERT_EQ(all.size(), 12u);
  for (const auto& one : all) {
    SCOPED_TRACE(one["name"].get<std::string>());
    Bytes stream = hex(one["hex"].get<std::string>());
    auto got = parse(stream);
    ASSERT_EQ(got.result, ParseResult::done) << got.error;
    EXPECT_EQ(got.consumed, stream.size() - one["payload_bytes"].get<size_t>());
    EXPECT_EQ(static_cast<int>(got.header.version), one["version"]);
    EXPECT_EQ(got.header.is_local(), one["command"] == "local");
    EXPECT_EQ(static_cast<int>(got.header.family), one["family"]);
    EXPECT_EQ(got.header.crc32c_verified, one["crc32c"].get<bool>());
    std::vector<int> types;
    for (const auto& tlv : got.header.tlvs) types.push_back(tlv.type);
    EXPECT_EQ(types, one["tlv_types"].get<std::vector<int>>());
    EXPECT_EQ(got.header.source.has_value(), one.contains("source"));
    if (got.header.source) {
      EXPECT_EQ(got.header.source->text(), one["source"]);
      EXPECT_EQ(got.header.destination->text(), one["destination"]);
    }
    for (size_t cut = 0; cut <= stream.size(); ++cut) EXPECT_EQ(parse(stream, Mode::any, {cut}).header, got.header);
  }
}

TEST(RecordedHeaders, GiveTheirTlvs) {
  for (const auto& one : recorded()) {
    Header header = parse(hex(one["hex"].get<std::string>())).header;
    if (one["name"] == "haproxy-v2-tls-ipv4") {
      EXPECT_EQ(as_text(*alpn(header)), "http/1.1");
      EXPECT_EQ(authority(header), "vpn.example.org");
      auto view = ssl(header);
      ASSERT_TRUE(view);
      EXPECT_EQ(view->version, "TLSv1.3");
      EXPECT_EQ(view->cn, "Client Seven");
      EXPECT_EQ(view->cipher, "TLS_AES_256_GCM_SHA384");
      EXPECT_EQ(view->key_alg, "EC256");
      EXPECT_EQ(view->sig_alg, "ecdsa-with-SHA256");
      EXPECT_TRUE(view->verified());
    }
    if (one["name"] == "aws-nlb-vpc-endpoint-capture") {
      EXPECT_EQ(aws_vpc_endpoint(header), "vpce-00eafc458ec97b833");
    }
    if (one["name"] == "aws-nlb-vpc-endpoint-example") {
      EXPECT_EQ(aws_vpc_endpoint(header), "vpce-08d2bf15fac5001c9");
    }
  }
}

// Whoever passes a header on writes the same bytes HAProxy and AWS did.
TEST(RecordedHeaders, AreWrittenBackByteForByte) {
  int compared = 0;
  for (const auto& one : recorded()) {
    Bytes stream = hex(one["hex"].get<std::string>());
    auto got = parse(stream);
    stream.resize(got.consumed);
    // A LOCAL header of ours announces no family; dotted mapped text is not ours either.
    if (one["name"] == "aws-nlb-health-check" || one["name"] == "haproxy-v1-mapped") continue;
    ++compared;
    Bytes again = got.header.version == Version::v1 ? Bytes() + as_bytes(write_v1(got.header))
                                                    : write_v2(got.header, got.header.crc32c_verified).value();
    EXPECT_EQ(to_hex(again), to_hex(stream)) << one["name"];
  }
  EXPECT_EQ(compared, 10);
}

}  // namespace
}  // namespace smartvpn::proxyproto
