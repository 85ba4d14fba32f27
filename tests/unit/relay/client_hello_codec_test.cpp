#include "relay/client_hello_codec.hpp"

#include <gtest/gtest.h>

#include "support/hello_bytes.hpp"

namespace smartvpn::relay::hello_testing {
namespace {

using namespace std::string_literals;

std::optional<ClientHello> decode(ByteView body) {
  ClientHello out;
  if (!decode_client_hello(body, out)) return std::nullopt;
  return out;
}
std::optional<ClientHello> told_of(ByteView extensions) { return decode(fixed_part() + vector_of(2, extensions)); }
std::string name_told_of(std::string_view sent) {
  const auto got = told_of(server_name(sent));
  return got ? got->server_name : "malformed";
}

TEST(ClientHelloCodec, WithoutExtensionsTheLegacyVersionCounts) {
  for (uint16_t version = 0x0300; version <= kTls12; ++version) {
    EXPECT_EQ(decode(fixed_part(version))->versions, std::vector<uint16_t>{version});
    EXPECT_EQ(decode(fixed_part(version) + Bytes{0, 0})->versions, std::vector<uint16_t>{version});
  }
  const auto got = decode(fixed_part());
  EXPECT_EQ(got->server_name, "");
  EXPECT_TRUE(got->alpn.empty());
}

TEST(ClientHelloCodec, ALegacyVersionAboveTls12MeansTls12) {
  EXPECT_EQ(decode(fixed_part(0x0304))->versions, std::vector<uint16_t>{kTls12});
  EXPECT_EQ(decode(fixed_part(0xffff))->versions, std::vector<uint16_t>{kTls12});
}

TEST(ClientHelloCodec, SupportedVersionsReplaceTheLegacyOneAndLoseTheirGrease) {
  const auto got = told_of(supported_versions({0x0a0a, kTls12, 0xfafa, kTls13, 0x0a1a, 0x7f1c}));
  EXPECT_EQ(got->versions, (std::vector<uint16_t>{kTls12, kTls13, 0x0a1a, 0x7f1c}));
  EXPECT_EQ(got->highest_version(), kTls13);
  EXPECT_TRUE(got->offers(kTls12));
  EXPECT_FALSE(got->offers(0x0301));
  const auto grease_alone = told_of(supported_versions({0x3a3a}));
  EXPECT_TRUE(grease_alone->versions.empty());
  EXPECT_EQ(grease_alone->highest_version(), 0);
}

TEST(ClientHelloCodec, VersionsHaveTheirNames) {
  EXPECT_STREQ(version_name(0x0304), "TLSv1.3");
  EXPECT_STREQ(version_name(0x0303), "TLSv1.2");
  EXPECT_STREQ(version_name(0x0302), "TLSv1.1");
  EXPECT_STREQ(version_name(0x0301), "TLSv1.0");
  EXPECT_STREQ(version_name(0x0300), "SSLv3");
  for (uint16_t other : std::initializer_list<uint16_t>{0, 0x02ff, 0x0305, 0x7f1c, 0xffff})
    EXPECT_EQ(version_name(other), nullptr);
}

TEST(ClientHelloCodec, ServerNamesAreNormalised) {
  EXPECT_EQ(name_told_of("VPN.Example.COM"), "vpn.example.com");
  EXPECT_EQ(name_told_of("vpn.example.com."), "vpn.example.com");
}

TEST(ClientHelloCodec, WhatIsNoHostNameIsNoName) {
  for (const std::string& sent :
       {"vpn.example\0.org"s, "a b"s, "\0"s, " "s,
        "b\xc3\xbc"
        "cher"s,
        "192.0.2.1"s, "2001:db8::1"s, "[::1]"s, "a..b"s, "."s, "*.a"s, std::string(254, 'a'), std::string(9000, 'a')})
    EXPECT_EQ(name_told_of(sent), "") << sent;
}

TEST(ClientHelloCodec, TheFirstHostNameCounts) {
  EXPECT_EQ(told_of(server_names(host_entry("first") + host_entry("second")))->server_name, "first");
  EXPECT_EQ(told_of(server_names(host_entry("no name") + host_entry("second")))->server_name, "");
  const Bytes other_type = Bytes{7} + vector_of(2, as_bytes("other"));
  EXPECT_EQ(told_of(server_names(other_type + host_entry("name")))->server_name, "name");
  EXPECT_EQ(told_of(server_names(other_type))->server_name, "");
}

TEST(ClientHelloCodec, AlpnInOrderAsSentWithoutGrease) {
  EXPECT_EQ(told_of(alpn({"h2", "\x5a\x5a", "http/1.1", "\0\xff"s, "\x0a\x1a"}))->alpn,
            (std::vector<std::string>{"h2", "http/1.1", "\0\xff"s, "\x0a\x1a"}));
  EXPECT_EQ(told_of(alpn({std::string(255, 'x')}))->alpn[0].size(), 255u);
}

TEST(ClientHelloCodec, AtMost32ProtocolsAreKeptAndAllAreChecked) {
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("p" + std::to_string(i));
  const auto got = told_of(alpn(names));
  ASSERT_TRUE(got);
  names.resize(32);
  EXPECT_EQ(got->alpn, names);
  names.resize(50, "x");
  names.push_back("");
  EXPECT_FALSE(told_of(alpn(names)));
}

TEST(ClientHelloCodec, AnEmptyListIsMalformed) {
  EXPECT_FALSE(told_of(server_names({})));
  EXPECT_FALSE(told_of(server_name("")));
  EXPECT_FALSE(told_of(extension(0, {})));
  EXPECT_FALSE(told_of(alpn({})));
  EXPECT_FALSE(told_of(alpn({""})));
  EXPECT_FALSE(told_of(extension(16, {})));
  EXPECT_FALSE(told_of(supported_versions({})));
  EXPECT_FALSE(told_of(extension(43, {})));
  EXPECT_FALSE(told_of(extension(43, from_hex("03030303").value())));
}

TEST(ClientHelloCodec, AnExtensionTwiceIsMalformedWhicheverItIs) {
  EXPECT_FALSE(told_of(server_name("a") + server_name("a")));
  EXPECT_FALSE(told_of(server_name("a") + alpn({"h2"}) + server_name("b")));
  EXPECT_FALSE(told_of(extension(0x1a1a, {}) + extension(0x1a1a, {})));
  EXPECT_FALSE(told_of(extension(0xffff, {}) + server_name("a") + extension(0xffff, {})));
  EXPECT_TRUE(told_of(extension(0x1a1a, {}) + extension(0x2a2a, {})));
}

TEST(ClientHelloCodec, ThousandsOfExtensionsAreReadQuickly) {
  Bytes many;
  for (size_t type = 100; type < 16000; ++type) append(many, extension(static_cast<uint16_t>(type), {}));
  EXPECT_TRUE(told_of(many + server_name("a")));
  EXPECT_FALSE(told_of(many + extension(100, {})));
}

TEST(ClientHelloCodec, EveryTruncationIsMalformedButTheOneWithoutExtensions) {
  const Bytes fixed = fixed_part();
  const Bytes body = fixed + vector_of(2, server_name("a.example") + alpn({"h2"}) + supported_versions({kTls13}));
  for (size_t size = 0; size < body.size(); ++size)
    EXPECT_EQ(decode(ByteView(body).first(size)).has_value(), size == fixed.size()) << size;
  EXPECT_TRUE(decode(body));
  EXPECT_FALSE(decode(body + Bytes{0}));
}

// Where the lengths stand, and how many bytes each has.
TEST(ClientHelloCodec, EveryLengthThatIsOneOffIsMalformed) {
  const Bytes body =
      fixed_part() + vector_of(2, server_name("a.example") + alpn({"h2"}) + supported_versions({kTls13}));
  const size_t extensions = fixed_part().size(), names = extensions + 2, protocols = names + 4 + 5 + 9,
               versions = protocols + 4 + 5;
  ASSERT_EQ(body.size(), versions + 4 + 3);
  const size_t low_bytes[] = {34,
                              68,
                              73,
                              extensions + 1,
                              names + 3,
                              names + 5,
                              names + 8,
                              protocols + 3,
                              protocols + 5,
                              protocols + 6,
                              versions + 3,
                              versions + 4};
  for (size_t at : low_bytes)
    for (int change : {-1, 1}) {
      Bytes bad = body;
      bad[at] = static_cast<uint8_t>(bad[at] + change);
      EXPECT_FALSE(decode(bad)) << at << " " << change;
    }
}

TEST(ClientHelloCodec, BoundsOfTheFixedPart) {
  const Bytes start = number(0x0303, 2) + Bytes(32, 1);
  const Bytes suites = from_hex("00021301").value(), null_compression = from_hex("0100").value();
  EXPECT_TRUE(decode(start + vector_of(1, {}) + suites + null_compression));
  EXPECT_TRUE(decode(start + vector_of(1, Bytes(32)) + suites + null_compression));
  EXPECT_FALSE(decode(start + vector_of(1, Bytes(33)) + suites + null_compression));
  EXPECT_FALSE(decode(start + vector_of(1, {}) + vector_of(2, {}) + null_compression));
  EXPECT_FALSE(decode(start + vector_of(1, {}) + vector_of(2, Bytes(3)) + null_compression));
  EXPECT_FALSE(decode(start + vector_of(1, {}) + suites + vector_of(1, {})));
}

}  // namespace
}  // namespace smartvpn::relay::hello_testing
