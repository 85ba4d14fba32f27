#include "relay/proxy_signature.hpp"

#include <gtest/gtest.h>

#include "proxyproto/writer.hpp"

namespace smartvpn::relay {
namespace {

const std::string kSignatures[] = {"PROXY ", std::string("\r\n\r\n\0\r\nQUIT\n", 12)};

Signature signed_by(std::string_view text) { return proxy_signature(as_bytes(text)); }

TEST(ProxySignature, EveryBeginningMayBeOne) {
  EXPECT_EQ(proxy_signature({}), Signature::maybe);
  size_t longest = 0;
  for (const std::string& signature : kSignatures) {
    for (size_t size = 0; size < signature.size(); ++size) {
      EXPECT_EQ(signed_by(signature.substr(0, size)), Signature::maybe) << size;
      longest = std::max(longest, size);
    }
    EXPECT_EQ(signed_by(signature), Signature::yes);
    EXPECT_EQ(signed_by(signature + "x"), Signature::yes);
    EXPECT_EQ(signed_by(signature + std::string(100000, '\0')), Signature::yes);
  }
  EXPECT_EQ(longest, 11u);
}

TEST(ProxySignature, EveryOtherByteAtEveryPlaceIsNone) {
  for (const std::string& signature : kSignatures)
    for (size_t at = 0; at < signature.size(); ++at)
      for (int byte = 0; byte < 256; ++byte) {
        std::string other = signature;
        other[at] = static_cast<char>(byte);
        if (other == signature) continue;
        // The first byte of one may become that of the other, whose second byte is not there.
        ASSERT_EQ(signed_by(other), Signature::no) << at << " " << byte;
        ASSERT_EQ(signed_by(other + signature), Signature::no) << at << " " << byte;
        const Signature cut = signed_by(other.substr(0, at + 1));
        const bool other_begins = at == 0 && (byte == 'P' || byte == '\r');
        ASSERT_EQ(cut, other_begins ? Signature::maybe : Signature::no) << at << " " << byte;
      }
}

TEST(ProxySignature, WhatTwelveBytesAreIsDecided) {
  for (std::string text :
       {"PROXY ", "PROXY", "\r\n\r\n", "GET / HTTP/1.1\r\n", "proxy TCP4 ", " PROXY TCP4", "PROXYPROXY "}) {
    text.resize(12, ' ');
    EXPECT_NE(signed_by(text), Signature::maybe) << text;
  }
  EXPECT_EQ(signed_by("PROXYx"), Signature::no);
  EXPECT_EQ(signed_by("proxy "), Signature::no);
  EXPECT_EQ(signed_by(" PROXY "), Signature::no) << "only the beginning counts";
  EXPECT_EQ(signed_by("\r\n\r\nGET"), Signature::no);
  EXPECT_EQ(signed_by("\x16\x03\x01"), Signature::no);
}

TEST(ProxySignature, WhatTheWriterWritesIsOne) {
  const auto header =
      proxyproto::relayed(inet::Endpoint::parse("192.0.2.1:1"), inet::Endpoint::parse("[2001:db8::1]:2"));
  for (const auto& one : {header, proxyproto::local_header()}) {
    EXPECT_EQ(signed_by(proxyproto::write_v1(one)), Signature::yes);
    EXPECT_EQ(proxy_signature(*proxyproto::write_v2(one)), Signature::yes);
  }
}

}  // namespace
}  // namespace smartvpn::relay
