// The header that goes to a target, read back by the parser.
#include "relay/proxy_out.hpp"

#include <gtest/gtest.h>

#include "proxyproto/parser.hpp"
#include "proxyproto/tlv.hpp"

namespace smartvpn::relay {
namespace {

using proxyproto::Header;
using proxyproto::Tlv;

Header made(const ProxyOutInput& in) {
  const auto bytes = make_proxy_out(in);
  EXPECT_TRUE(bytes);
  proxyproto::Parser parser(proxyproto::Mode::any);
  size_t used = 0;
  EXPECT_EQ(parser.feed(*bytes, used), proxyproto::ParseResult::done) << parser.error();
  EXPECT_EQ(used, bytes->size());
  return parser.take_header();
}

ProxyOutInput from(const char* client, const char* destination) {
  ProxyOutInput in;
  in.client = inet::Endpoint::parse(client);
  in.destination = inet::Endpoint::parse(destination);
  return in;
}

TEST(ProxyOut, SaysBothEndsInBothVersionsAndFamilies) {
  for (const auto version : {proxyproto::Version::v1, proxyproto::Version::v2})
    for (auto [client, destination] :
         {std::pair{"198.51.100.7:1", "203.0.113.9:2"}, std::pair{"[2001:db8::7]:1", "[2001:db8::9]:2"},
          std::pair{"198.51.100.7:1", "[2001:db8::9]:2"}}) {
      ProxyOutInput in = from(client, destination);
      in.version = version;
      const Header header = made(in);
      EXPECT_EQ(header.version, version);
      EXPECT_EQ(header.source->text(), client);
      EXPECT_EQ(header.destination->text(), destination);
    }
}

TEST(ProxyOut, WithoutAnAddressItSaysSoAndLocalStaysLocal) {
  ProxyOutInput in;
  EXPECT_TRUE(made(in).addressless());
  in.version = proxyproto::Version::v1;
  EXPECT_TRUE(made(in).addressless());
  in.version = proxyproto::Version::v2;
  in.local = true;
  EXPECT_TRUE(made(in).is_local());
}

TEST(ProxyOut, WhatWeSawOurselvesWinsOverWhatWeWereTold) {
  Header received;
  received.tlvs = {{proxyproto::kTlvAuthority, {'o', 'l', 'd'}}, {proxyproto::kTlvAlpn, {'h', '2'}}};
  ProxyOutInput in = from("198.51.100.7:1", "203.0.113.9:2");
  in.received = &received;
  EXPECT_EQ(proxyproto::authority(made(in)), "old");
  in.authority = "new";
  in.alpn = "http/1.1";
  in.tls = ProxyOutInput::Tls{"TLSv1.3", "TLS_AES_128_GCM_SHA256"};
  const Header header = made(in);
  EXPECT_EQ(proxyproto::authority(header), "new");
  EXPECT_EQ(as_text(*proxyproto::alpn(header)), "http/1.1");
  EXPECT_EQ(proxyproto::ssl(header)->version, "TLSv1.3");
  EXPECT_FALSE(proxyproto::ssl(header)->verified());
}

TEST(ProxyOut, OfOthersTlvsOnlyWhatIsAskedForGoesOn) {
  Header received;
  received.tlvs = {{proxyproto::kTlvNetns, {'n'}},
                   {proxyproto::kTlvNoop, {0}},
                   {proxyproto::kTlvCrc32c, {1, 2, 3, 4}},
                   {0xE5, {'x'}},
                   {proxyproto::kTlvAws, {1, 'v'}}};
  ProxyOutInput in = from("198.51.100.7:1", "203.0.113.9:2");
  in.received = &received;
  EXPECT_TRUE(made(in).tlvs.empty());
  in.forward_unknown_tlvs = true;
  EXPECT_EQ(made(in).tlvs, (std::vector<Tlv>{{0xE5, {'x'}}, {proxyproto::kTlvAws, {1, 'v'}}}));
  in.crc32c = true;
  EXPECT_TRUE(made(in).crc32c_verified);
}

TEST(ProxyOut, WhatDoesNotFitIsNotSent) {
  Header received;
  received.tlvs = {{0xE5, Bytes(40'000)}, {0xE6, Bytes(40'000)}};
  ProxyOutInput in = from("198.51.100.7:1", "203.0.113.9:2");
  in.received = &received;
  in.forward_unknown_tlvs = true;
  EXPECT_FALSE(make_proxy_out(in));
}

}  // namespace
}  // namespace smartvpn::relay
