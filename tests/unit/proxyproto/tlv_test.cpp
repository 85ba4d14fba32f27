#include "proxyproto/tlv.hpp"

#include <gtest/gtest.h>

#include "support/proxy_headers.hpp"

namespace smartvpn::proxyproto {
namespace {

using testing::hex;
using testing::operator+;

Header with(std::vector<Tlv> tlvs) {
  Header header;
  header.tlvs = std::move(tlvs);
  return header;
}
Bytes bytes(std::string_view text) { return Bytes(text.begin(), text.end()); }

TEST(Tlv, TypedViewsOfPlainValues) {
  Header header = with({{kTlvAlpn, hex("00ff")},
                        {kTlvAuthority, bytes("vpn.example")},
                        {kTlvUniqueId, hex("0102")},
                        {kTlvNetns, bytes("blue")},
                        {kTlvCrc32c, hex("01020304")},
                        {kTlvAuthority, bytes("second")}});
  EXPECT_EQ(to_hex(*alpn(header)), "00ff");
  EXPECT_EQ(authority(header), "vpn.example");
  EXPECT_EQ(to_hex(*unique_id(header)), "0102");
  EXPECT_EQ(netns(header), "blue");
  EXPECT_EQ(crc32c_value(header), 0x01020304u);
  EXPECT_FALSE(alpn(Header()) || authority(Header()) || unique_id(Header()) || netns(Header()) || ssl(Header()));
}

TEST(Tlv, CloudValuesInTheirDocumentedFormOnly) {
  EXPECT_EQ(aws_vpc_endpoint(with({{kTlvAws, bytes("\1vpce-08d2bf15")}})), "vpce-08d2bf15");
  for (auto bad : {"\2vpce-08d2bf15", "\1", "", "\1vpce 1", "\1vpce-\xff"})
    EXPECT_FALSE(aws_vpc_endpoint(with({{kTlvAws, bytes(bad)}}))) << bad;
  EXPECT_EQ(azure_link_id(with({{kTlvAzure, hex("01c1450021")}})), 0x210045c1u);  // little endian
  for (auto bad : {"02c1450021", "01c14500", "01c145002100", ""})
    EXPECT_FALSE(azure_link_id(with({{kTlvAzure, hex(bad)}}))) << bad;
  EXPECT_EQ(gcp_psc_connection(with({{kTlvGcp, hex("0102030405060708")}})), 0x0102030405060708u);
  for (auto bad : {"01020304050607", "010203040506070809", ""})
    EXPECT_FALSE(gcp_psc_connection(with({{kTlvGcp, hex(bad)}}))) << bad;
  // The first that has the form counts.
  EXPECT_EQ(azure_link_id(with({{kTlvAzure, hex("0201010101")}, {kTlvAzure, hex("0101000000")}})), 1u);
}

TEST(Tlv, SslWithAllItsParts) {
  Bytes value = hex("0700000000");
  for (auto [type, text] : {std::pair<uint8_t, std::string_view>{0x21, "TLSv1.3"},
                            {0x22, "Client Seven"},
                            {0x23, "TLS_AES_128_GCM_SHA256"},
                            {0x24, "SHA256"},
                            {0x25, "RSA2048"},
                            {0x26, "x25519"},
                            {0x27, "rsa_pss"},
                            {0x28, std::string_view("\x30\0\x01", 3)},
                            {0x2f, "later"}})
    append(value, testing::tlv(type, text));
  auto view = parse_ssl(value);
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->tls() && view->cert_on_connection() && view->cert_in_session() && view->verified());
  EXPECT_EQ(view->version, "TLSv1.3");
  EXPECT_EQ(view->cn, "Client Seven");
  EXPECT_EQ(view->cipher, "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(view->sig_alg, "SHA256");
  EXPECT_EQ(view->key_alg, "RSA2048");
  EXPECT_EQ(view->group, "x25519");
  EXPECT_EQ(view->sig_scheme, "rsa_pss");
  EXPECT_EQ(to_hex(*view->client_cert), "300001");
  for (size_t n = 0; n < value.size(); ++n) {
    auto cut = parse_ssl(ByteView(value).first(n));
    // Only at the end of a part may it stop.
    if (cut) {
      EXPECT_GE(n, 5u);
    }
  }
}

TEST(Tlv, WithoutACertificateNothingIsVerified) {
  auto view = parse_ssl(hex("0100000000"));
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->tls());
  EXPECT_FALSE(view->verified());
  EXPECT_FALSE(view->cn);
  EXPECT_FALSE(parse_ssl(hex("0300000001"))->verified());
}

std::string described(std::vector<Tlv> tlvs) {
  std::string out;
  for (const auto& [name, value] : describe(tlvs)) out += name + "=" + value + ";";
  return out;
}

TEST(TlvText, NamesAndPrintableValues) {
  EXPECT_EQ(described({{kTlvCrc32c, hex("01020304")},
                       {kTlvNoop, hex("000000")},
                       {kTlvAlpn, bytes("h2")},
                       {kTlvAuthority, bytes("vpn.example")},
                       {kTlvUniqueId, hex("00ff")},
                       {kTlvNetns, bytes("blue")}}),
            "alpn=h2;authority=vpn.example;unique_id=0x00ff;netns=blue;");
  EXPECT_EQ(
      described({{kTlvAws, bytes("\1vpce-1")}, {kTlvAzure, hex("0101000000")}, {kTlvGcp, hex("0000000000000007")}}),
      "aws_vpce_id=vpce-1;azure_link_id=1;gcp_psc_id=7;");
  EXPECT_EQ(described({{0xe3, bytes("x\n")}, {0x0f, {}}, {kTlvAws, bytes("other")}, {kTlvSsl, hex("01")}}),
            "0xE3=0x780a;0x0F=;0xEA=other;0x20=0x01;");
}

TEST(TlvText, SslIsOneLineAndItsParts) {
  Bytes value = hex("0500000000") + testing::tlv(0x21, "TLSv1.3");
  append(value, testing::tlv(0x22, "J\xc3\xbcrgen"));
  EXPECT_EQ(described({{kTlvSsl, value}}),
            "ssl=tls cert-earlier verified;ssl.version=TLSv1.3;ssl.cn=0x4ac3bc7267656e;");
  EXPECT_EQ(described({{kTlvSsl, hex("0300000014")}}), "ssl=tls cert-now verify=20;");
  EXPECT_EQ(described({{kTlvSsl, hex("0000000000")}}), "ssl=plain;");
}

TEST(TlvText, LongValuesAreShownInPart) {
  EXPECT_EQ(described({{kTlvAuthority, Bytes(256, 'a')}}), "authority=" + std::string(256, 'a') + ";");
  EXPECT_EQ(described({{kTlvAuthority, Bytes(257, 'a')}}), "authority=" + std::string(256, 'a') + "...;");
  EXPECT_EQ(described({{0xe9, Bytes(60000, 0)}}), "0xE9=0x" + std::string(512, '0') + "...;");
}

}  // namespace
}  // namespace smartvpn::proxyproto
