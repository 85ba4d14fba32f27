#include "proxyproto/parser.hpp"

#include <gtest/gtest.h>

#include "proxyproto/tlv.hpp"
#include "support/proxy_headers.hpp"

namespace smartvpn::proxyproto {
namespace {

using namespace testing;

std::vector<Bytes> headers() {
  std::vector<Bytes> out;
  for (std::string_view line : {"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "PROXY TCP6 2001:db8::1 ::2 1 2\r\n",
                                "PROXY UNKNOWN\r\n", "PROXY UNKNOWN \r x \n y\r\n"})
    out.push_back(Bytes() + as_bytes(line));
  out.push_back(v2(0x21, 0x11, v4_block()));
  out.push_back(v2(0x21, 0x22, v6_block()));
  out.push_back(v2(0x21, 0x31, Bytes(216, 's')));
  out.push_back(v2(0x21, 0x00, {}));
  out.push_back(v2(0x20, 0x00, {}));
  out.push_back(v2(0x20, 0x11, Bytes(84)));
  out.push_back(with_crc(0x21, 0x21, v6_block(), tlv(kTlvAuthority, "vpn.example") + tlv(0xe3, "x")));
  return out;
}

TEST(Parser, EverySingleCutGivesTheSameHeader) {
  for (const Bytes& header : headers()) {
    Bytes stream = header + as_bytes("\r\nPROXY application data");
    auto whole = parse(stream);
    ASSERT_EQ(whole.result, ParseResult::done) << to_hex(header) << whole.error;
    EXPECT_EQ(whole.consumed, header.size());
    EXPECT_EQ(whole.header.size, header.size());
    for (size_t cut = 0; cut <= stream.size(); ++cut) {
      auto got = parse(stream, Mode::any, {cut});
      ASSERT_EQ(got.result, ParseResult::done) << cut;
      EXPECT_EQ(got.header, whole.header) << cut;
      EXPECT_EQ(got.consumed, header.size()) << cut;
    }
  }
}

TEST(Parser, ByteByByteGivesTheSameHeaderAndNothingEarlier) {
  for (const Bytes& header : headers()) {
    Parser parser(Mode::any);
    EXPECT_FALSE(parser.started());
    for (size_t i = 0; i < header.size(); ++i) {
      size_t used = 9;
      auto result = parser.feed(ByteView(header).subspan(i, 1), used);
      EXPECT_EQ(used, 1u);
      EXPECT_EQ(result, i + 1 < header.size() ? ParseResult::need_more : ParseResult::done) << i;
      EXPECT_TRUE(parser.started());
    }
    EXPECT_EQ(parser.header(), parse(header).header);
  }
}

TEST(Parser, EveryPairOfCutsOfAShortHeader) {
  for (const Bytes& header : {v2(0x21, 0x11, v4_block()), Bytes() + as_bytes("PROXY TCP6 ::1 ::2 1 2\r\n")}) {
    auto whole = parse(header);
    for (size_t a = 0; a <= header.size(); ++a)
      for (size_t b = a; b <= header.size(); ++b) {
        auto got = parse(header, Mode::any, {a, b});
        ASSERT_EQ(got.result, ParseResult::done);
        EXPECT_EQ(got.header, whole.header);
      }
  }
}

TEST(Parser, MalformedIsTheSameHoweverItComes) {
  for (const Bytes& header : headers())
    for (size_t i = 0; i < header.size(); ++i) {
      Bytes bad = header;
      bad[i] ^= 0x41;
      auto whole = parse(bad);
      std::vector<size_t> every;
      for (size_t k = 1; k < bad.size(); ++k) every.push_back(k);
      auto pieces = parse(bad, Mode::any, every);
      EXPECT_EQ(whole.result, pieces.result) << i;
      EXPECT_EQ(whole.error, pieces.error) << i;
      EXPECT_EQ(whole.consumed, pieces.consumed) << i;
      EXPECT_EQ(whole.header, pieces.header) << i;
      if (whole.result == ParseResult::malformed || whole.result == ParseResult::refused) {
        EXPECT_EQ(whole.header, Header()) << i;
      }
    }
}

TEST(Parser, ModeAllowsOnlyItsVersions) {
  Bytes line = Bytes() + as_bytes("PROXY UNKNOWN\r\n"), binary = v2(0x21, 0x11, v4_block());
  EXPECT_EQ(parse(line, Mode::v1).result, ParseResult::done);
  EXPECT_EQ(parse(line, Mode::any).result, ParseResult::done);
  EXPECT_EQ(parse(line, Mode::v2).result, ParseResult::malformed);
  EXPECT_EQ(parse(binary, Mode::v2).result, ParseResult::done);
  EXPECT_EQ(parse(binary, Mode::any).result, ParseResult::done);
  EXPECT_EQ(parse(binary, Mode::v1).result, ParseResult::malformed);
  for (Mode mode : {Mode::v1, Mode::v2, Mode::any}) {
    auto got = parse("GET / HTTP/1.1\r\n", mode);
    EXPECT_EQ(got.result, ParseResult::malformed);
    EXPECT_EQ(got.error, "no PROXY header of an allowed version");
  }
}

TEST(Parser, AFinalResultStaysAndTakesNothingMore) {
  for (std::string text : {"PROXY UNKNOWN\r\n", "PROXY TCP4 nonsense\r\n", "hello"}) {
    Parser parser(Mode::any);
    size_t used = 0;
    auto first = parser.feed(as_bytes(text), used);
    EXPECT_NE(first, ParseResult::need_more);
    EXPECT_EQ(parser.feed(as_bytes("PROXY UNKNOWN\r\n"), used), first);
    EXPECT_EQ(used, 0u);
  }
}

TEST(Parser, NoBytesChangeNothing) {
  Parser parser(Mode::any);
  size_t used = 9;
  EXPECT_EQ(parser.feed({}, used), ParseResult::need_more);
  EXPECT_EQ(used, 0u);
  EXPECT_FALSE(parser.started());
}

TEST(Datagram, HeaderAndPayloadInOne) {
  Header header;
  size_t size = 0;
  Bytes datagram = v2(0x21, 0x12, v4_block()) + as_bytes("payload");
  ASSERT_EQ(parse_datagram(datagram, header, size), ParseResult::done);
  EXPECT_EQ(size, 28u);
  EXPECT_EQ(header.transport, Transport::dgram);
  EXPECT_EQ(header.source->text(), "192.0.2.1:1111");
  ASSERT_EQ(parse_datagram(v2(0x20, 0x00, {}), header, size), ParseResult::done);
  EXPECT_TRUE(header.is_local());
  EXPECT_FALSE(header.source);
}

TEST(Datagram, NothingIsWaitedFor) {
  Bytes datagram = v2(0x21, 0x12, v4_block());
  for (size_t n = 0; n < datagram.size(); ++n) {
    Header header;
    size_t size = 7;
    const char* error = nullptr;
    EXPECT_EQ(parse_datagram(ByteView(datagram).first(n), header, size, {}, &error), ParseResult::malformed) << n;
    EXPECT_EQ(size, 0u);
    EXPECT_STREQ(error, "v2: header cut off by the end of the datagram");
    EXPECT_EQ(header, Header());
  }
}

TEST(Datagram, KnowsNoVersion1AndKeepsTheLimit) {
  Header header;
  size_t size = 0;
  EXPECT_EQ(parse_datagram(as_bytes("PROXY UNKNOWN\r\n"), header, size), ParseResult::malformed);
  EXPECT_EQ(parse_datagram(v2(0x21, 0x12, v4_block()), header, size, {11}), ParseResult::refused);
}

}  // namespace
}  // namespace smartvpn::proxyproto
