#include "proxyproto/writer.hpp"

#include <gtest/gtest.h>

#include "support/proxy_headers.hpp"

namespace smartvpn::proxyproto {
namespace {

using namespace testing;

Header between(const char* source, const char* destination, Transport transport = Transport::stream) {
  return relayed(inet::Endpoint::parse(source), inet::Endpoint::parse(destination), transport);
}

constexpr const char* kV4 = "192.0.2.1:1111";
constexpr const char* kV4b = "198.51.100.2:443";
constexpr const char* kV6 = "[2001:db8::1]:1111";
constexpr const char* kV6b = "[2001:db8::2]:443";

TEST(Writer, Version1Lines) {
  EXPECT_EQ(write_v1(between(kV4, kV4b)), "PROXY TCP4 192.0.2.1 198.51.100.2 1111 443\r\n");
  EXPECT_EQ(write_v1(between(kV6, kV6b)), "PROXY TCP6 2001:db8::1 2001:db8::2 1111 443\r\n");
  EXPECT_EQ(write_v1(between(kV4, kV6b)), "PROXY TCP6 ::ffff:c000:201 2001:db8::2 1111 443\r\n");
  EXPECT_EQ(write_v1(between(kV6, kV4b)), "PROXY TCP6 2001:db8::1 ::ffff:c633:6402 1111 443\r\n");
  EXPECT_EQ(write_v1(local_header()), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(write_v1(relayed({}, {})), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(write_v1(between(kV4, kV4b, Transport::dgram)), "PROXY UNKNOWN\r\n");
}

TEST(Writer, Version2Bytes) {
  EXPECT_EQ(*write_v2(between(kV4, kV4b)), v2(0x21, 0x11, v4_block()));
  EXPECT_EQ(*write_v2(between(kV6, kV6b, Transport::dgram)), v2(0x21, 0x22, v6_block()));
  EXPECT_EQ(*write_v2(local_header()), v2(0x20, 0x00, {}));
  EXPECT_EQ(*write_v2(relayed({}, {})), v2(0x21, 0x00, {}));
  EXPECT_EQ(*write_v2(between(kV4, kV4b), true), with_crc(0x21, 0x11, v4_block()));
  EXPECT_EQ(*write_v2(between(kV4, kV4b, Transport::unspec)), v2(0x21, 0x00, {}));
}

TEST(Writer, NeverMixesFamilies) {
  auto bytes = *write_v2(between(kV4, kV6b));
  EXPECT_EQ(to_hex(bytes).substr(24),
            "21210024"
            "00000000000000000000ffffc0000201"
            "20010db8000000000000000000000002"
            "045701bb");
}

TEST(Writer, ReplacesTheChecksumOfAnEarlierHop) {
  Header header = between(kV4, kV4b);
  header.tlvs = {{kTlvCrc32c, hex("deadbeef")}, {kTlvAuthority, hex("61")}};
  EXPECT_EQ(*write_v2(header), v2(0x21, 0x11, v4_block() + tlv(kTlvAuthority, "a")));
  EXPECT_EQ(*write_v2(header, true), with_crc(0x21, 0x11, v4_block(), tlv(kTlvAuthority, "a")));
}

TEST(Writer, RefusesWhatCannotBeSent) {
  Header one = between(kV4, kV4b);
  one.destination.reset();
  EXPECT_FALSE(write_v2(one));
  Header path;
  path.family = Family::unix_socket;
  path.transport = Transport::stream;
  path.unix_source = std::string(108, 'p');
  EXPECT_TRUE(write_v2(path));
  path.unix_source += 'p';
  EXPECT_FALSE(write_v2(path));
  Header big = between(kV4, kV4b);
  big.tlvs = {{0xe1, Bytes(65535 - 12 - 3)}};
  EXPECT_TRUE(write_v2(big));
  EXPECT_FALSE(write_v2(big, true));
  big.tlvs = {{0xe1, Bytes(65536)}};
  EXPECT_FALSE(write_v2(big));
}

// What comes out of a written header is what went in, but for what only the wire knows.
TEST(Writer, RoundTripForAllFamilies) {
  std::vector<Header> headers;
  for (auto transport : {Transport::stream, Transport::dgram}) {
    headers.push_back(between(kV4, kV4b, transport));
    headers.push_back(between(kV6, kV6b, transport));
    headers.push_back(between(kV4, kV6b, transport));
    headers.push_back(between(kV6, kV4b, transport));
    headers.push_back(between(kV4, kV4b, transport));
    headers.back().family = Family::inet6;  // learnt from a proxy that listens on both
    Header path;
    path.family = Family::unix_socket;
    path.transport = transport;
    path.unix_source = "/run/client";
    path.unix_destination = std::string("\0abstract", 9);
    headers.push_back(path);
  }
  headers.push_back(local_header());
  headers.push_back(relayed({}, {}));
  SslView view;
  view.client = SslView::kClientSsl;
  view.verify = 5;
  view.version = "TLSv1.2";
  view.cn = "somebody";
  view.cipher = "cipher";
  view.sig_alg = "a";
  view.key_alg = "b";
  view.group = "c";
  view.sig_scheme = "d";
  Bytes cert = hex("3003020100");
  view.client_cert = ByteView(cert);
  for (const Header& plain : headers)
    for (bool crc : {false, true})
      for (bool tlvs : {false, true}) {
        Header header = plain;
        if (tlvs) header.tlvs = {{kTlvAlpn, hex("6832")}, make_ssl_tlv(view), {kTlvNoop, Bytes(9)}, {0xe1, {}}};
        auto bytes = write_v2(header, crc);
        ASSERT_TRUE(bytes);
        auto got = parse(*bytes + as_bytes("x"), Mode::v2);
        ASSERT_EQ(got.result, ParseResult::done) << got.error;
        EXPECT_EQ(got.consumed, bytes->size());
        EXPECT_EQ(got.header.crc32c_verified, crc);
        if (tlvs) {
          EXPECT_EQ(ssl(got.header)->sig_scheme, "d");
        }
        if (crc) got.header.tlvs.erase(got.header.tlvs.begin());
        got.header.crc32c_verified = false;
        got.header.size = 0;
        EXPECT_EQ(got.header, header);
      }
}

TEST(Writer, RoundTripOfVersion1) {
  for (Header header :
       {between(kV4, kV4b), between(kV6, kV6b), between(kV4, kV6b), between(kV6, kV4b), relayed({}, {})}) {
    auto line = write_v1(header);
    EXPECT_LE(line.size(), kV1MaxSize);
    auto got = parse(line, Mode::v1);
    ASSERT_EQ(got.result, ParseResult::done) << line;
    EXPECT_EQ(got.header.source, header.source);
    EXPECT_EQ(got.header.destination, header.destination);
    EXPECT_EQ(got.header.family, header.family);
  }
}

}  // namespace
}  // namespace smartvpn::proxyproto
