#include "proxyproto/v1_codec.hpp"

#include <gtest/gtest.h>

#include "support/proxy_headers.hpp"

namespace smartvpn::proxyproto {
namespace {

using testing::parse;

TEST(V1, ReadsBothFamilies) {
  auto four = parse("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET");
  ASSERT_EQ(four.result, ParseResult::done) << four.error;
  EXPECT_EQ(four.header.version, Version::v1);
  EXPECT_EQ(four.header.command, Command::proxy);
  EXPECT_EQ(four.header.family, Family::inet4);
  EXPECT_EQ(four.header.transport, Transport::stream);
  EXPECT_EQ(four.header.source->text(), "192.0.2.1:56324");
  EXPECT_EQ(four.header.destination->text(), "198.51.100.2:443");
  EXPECT_EQ(four.consumed, 45u);
  EXPECT_EQ(four.header.size, 45u);

  auto six = parse("PROXY TCP6 2001:DB8::1 fe80:0:0:0:0:0:0:00fF 0 65535\r\n");
  ASSERT_EQ(six.result, ParseResult::done) << six.error;
  EXPECT_EQ(six.header.family, Family::inet6);
  EXPECT_EQ(six.header.source->text(), "[2001:db8::1]:0");
  EXPECT_EQ(six.header.destination->text(), "[fe80::ff]:65535");
}

TEST(V1, TakesTheLongestLines) {
  std::string four = "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n";
  std::string ff = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  std::string six = "PROXY TCP6 " + ff + " " + ff + " 65535 65535\r\n";
  std::string unknown = "PROXY UNKNOWN " + ff + " " + ff + " 65535 65535\r\n";
  EXPECT_EQ(four.size(), 56u);
  EXPECT_EQ(six.size(), 104u);
  EXPECT_EQ(unknown.size(), 107u);
  for (const auto& line : {four, six, unknown}) EXPECT_EQ(parse(line).result, ParseResult::done) << line;
}

TEST(V1, UnknownIgnoresTheRestAndHasNoAddress) {
  for (std::string line : {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN \r\n", "PROXY UNKNOWN 192.0.2.1 198.51.100.2 1 2\r\n",
                           "PROXY UNKNOWN anything\tat\nall \r, really\r\n"}) {
    auto got = parse(line + "tail");
    ASSERT_EQ(got.result, ParseResult::done) << line;
    EXPECT_EQ(got.consumed, line.size());
    EXPECT_TRUE(got.header.addressless());
    EXPECT_FALSE(got.header.is_local());
    EXPECT_FALSE(got.header.source || got.header.destination);
    EXPECT_EQ(got.header.family, Family::unspec);
  }
}

TEST(V1, MappedAddressInTcp6IsIpv4) {
  for (auto line : {"PROXY TCP6 ::ffff:c000:201 ::ffff:c633:6402 1 2\r\n",
                    "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 1 2\r\n"}) {
    auto got = parse(line);
    ASSERT_EQ(got.result, ParseResult::done) << line;
    EXPECT_EQ(got.header.family, Family::inet6);
    EXPECT_EQ(got.header.source->text(), "192.0.2.1:1");
    EXPECT_EQ(got.header.destination->text(), "198.51.100.2:2");
  }
}

TEST(V1, RefusesEveryOtherSpelling) {
  const char* lines[] = {
      // words and spaces
      "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
      "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n", "PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 1  2\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8\r\n",
      "PROXY TCP4\r\n", "PROXY TCP4 \r\n", "PROXY\r\n", "PROXY \r\n", " PROXY UNKNOWN\r\n",
      "PROXY\tTCP4 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
      "PROXY UNKNOWNX\r\n", "PROXY UNKNOWN\rX\r\n", "PROXY UNKNOWN\n\r\n",
      // numbers
      "PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n", "PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n", "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
      "PROXY TCP4 1.2.3.4.5 5.6.7.8 1 2\r\n", "PROXY TCP4 0x1.2.3.4 5.6.7.8 1 2\r\n",
      "PROXY TCP4 1.2.3.4/32 5.6.7.8 1 2\r\n", "PROXY TCP4 +1.2.3.4 5.6.7.8 1 2\r\n",
      "PROXY TCP4 1.2.3.-4 5.6.7.8 1 2\r\n", "PROXY TCP4 1.2.3.4 5.6.7. 1 2\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 00 2\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 1 2a\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 4294967297\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 0x1 2\r\n",
      // families
      "PROXY TCP4 ::1 ::2 1 2\r\n", "PROXY TCP4 1.2.3.4 ::2 1 2\r\n", "PROXY TCP4 ::ffff:1.2.3.4 5.6.7.8 1 2\r\n",
      "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY TCP6 ::1 5.6.7.8 1 2\r\n", "PROXY TCP6 ::1.2.3.4 ::2 1 2\r\n",
      "PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n", "PROXY TCP6 [::1] ::2 1 2\r\n", "PROXY TCP6 ::1/128 ::2 1 2\r\n",
      "PROXY TCP6 1::2::3 ::2 1 2\r\n", "PROXY TCP6 1:2:3:4:5:6:7 ::2 1 2\r\n",
      "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::2 1 2\r\n", "PROXY TCP6 12345::1 ::2 1 2\r\n", "PROXY TCP6 ::g ::2 1 2\r\n",
      "PROXY TCP6 64:ff9b::1.2.3.4 ::2 1 2\r\n",
      // line ends inside
      "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n\r\n",
      "PROXY TCP4 1.2.3.4\n5.6.7.8 1 2\r\n"};
  for (auto line : lines) EXPECT_EQ(parse(line).result, ParseResult::malformed) << line;
}

TEST(V1, NulIsNoCharacterOfALine) {
  std::string line = "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n";
  for (size_t i = 0; i < line.size() - 2; ++i) {
    std::string broken = line;
    broken[i] = '\0';
    EXPECT_EQ(parse(broken).result, ParseResult::malformed) << i;
  }
}

TEST(V1, LoneCrOrLfDoesNotEndTheLine) {
  EXPECT_EQ(parse("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n").result, ParseResult::need_more);
  EXPECT_EQ(parse("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r").result, ParseResult::need_more);
  EXPECT_EQ(parse("PROXY UNKNOWN x\n").result, ParseResult::need_more);
}

TEST(V1, GivesUpAt107Bytes) {
  std::string line = "PROXY UNKNOWN " + std::string(93, 'x');
  ASSERT_EQ(line.size(), 107u);
  EXPECT_EQ(parse(line.substr(0, 106)).result, ParseResult::need_more);
  auto got = parse(line + "\r\n");
  EXPECT_EQ(got.result, ParseResult::malformed);
  EXPECT_EQ(got.consumed, 107u);
  EXPECT_EQ(parse(line.substr(0, 106) + "\r\n").result, ParseResult::malformed);
  EXPECT_EQ(parse(line.substr(0, 105) + "\r\n").result, ParseResult::done);
}

TEST(V1, SomethingElseIsSeenAtItsFirstByte) {
  // The last byte of each is the one that cannot be right.
  for (std::string text : {"G", "PU", "PROXY X", "PROXY TCP5", "PROXY TCP4X", "PROXY UNKNOWN.", "PROXY UNKNOWN\rx"}) {
    EXPECT_EQ(parse(text.substr(0, text.size() - 1)).result, ParseResult::need_more) << text;
    EXPECT_EQ(parse(text).result, ParseResult::malformed) << text;
    EXPECT_EQ(parse(text + "more").consumed, text == "G" ? 0 : text.size()) << text;
  }
}

}  // namespace
}  // namespace smartvpn::proxyproto
