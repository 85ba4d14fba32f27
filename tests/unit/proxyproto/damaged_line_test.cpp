// Version 1 lines that are nearly right: numbers and addresses in every spelling but the one, line ends
// that are none, and lengths around the limit, wherever the stream is cut.
#include <gtest/gtest.h>

#include "support/proxy_headers.hpp"

namespace smartvpn::proxyproto {
namespace {

using namespace testing;

TEST(DamagedLine, EveryMalformedNumberIsRefusedInEveryField) {
  const char* ports[] = {"",        "00",   "01",   "00443", "+443", "-1",   "-0", "65536", "70000", "99999", "100000",
                         "0000080", "4 43", "443.", "0x1bb", "1e3",  "443a", "a",  "\xb9",  "4,43",  "443\t", "\v443"};
  for (const char* port : ports) {
    const std::string p = port;
    EXPECT_NE(parse("PROXY TCP4 192.0.2.1 198.51.100.2 " + p + " 443\r\n").result, ParseResult::done) << p;
    EXPECT_NE(parse("PROXY TCP4 192.0.2.1 198.51.100.2 443 " + p + "\r\n").result, ParseResult::done) << p;
    EXPECT_NE(parse("PROXY TCP6 ::1 ::2 " + p + " 443\r\n").result, ParseResult::done) << p;
    EXPECT_NE(parse("PROXY TCP6 ::1 ::2 443 " + p + "\r\n").result, ParseResult::done) << p;
  }
  const char* octets[] = {"",   "00", "01", "001", "256", "300", "999", "1000",
                          "+1", "-1", "1 ", "0x1", "a",   "1e1", "\t1"};
  for (const char* octet : octets)
    for (int place = 0; place < 4; ++place) {
      std::string ip;
      for (int i = 0; i < 4; ++i) ip += (i ? "." : "") + std::string(i == place ? octet : "1");
      EXPECT_NE(parse("PROXY TCP4 " + ip + " 198.51.100.2 1 2\r\n").result, ParseResult::done) << ip;
      EXPECT_NE(parse("PROXY TCP4 198.51.100.2 " + ip + " 1 2\r\n").result, ParseResult::done) << ip;
      EXPECT_NE(parse("PROXY TCP6 ::ffff:" + ip + " ::2 1 2\r\n").result, ParseResult::done) << ip;
    }
  const char* sixes[] = {":",
                         ":::",
                         "1:",
                         ":1",
                         "1:2:3:4:5:6:7",
                         "1:2:3:4:5:6:7:8:9",
                         "1::2::",
                         "1:2:3:4::5:6:7:8",
                         "00001::",
                         "::12345",
                         "::g",
                         "::-1",
                         "::+1",
                         "::0x1",
                         "::1%1",
                         "[::1]",
                         "::1/128",
                         "::ffff:1.2.3",
                         "::1.2.3.4",
                         "::fffe:1.2.3.4",
                         "1.2.3.4::",
                         "::1.2.3.4:1",
                         "1:2:3:4:5:6:7:1.2.3.4",
                         "::1 "};
  for (const char* six : sixes) {
    EXPECT_NE(parse(std::string("PROXY TCP6 ") + six + " ::2 1 2\r\n").result, ParseResult::done) << six;
    EXPECT_NE(parse(std::string("PROXY TCP6 ::2 ") + six + " 1 2\r\n").result, ParseResult::done) << six;
  }
  // And what is right, at the borders.
  for (const char* line :
       {"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", "PROXY TCP6 :: 1:2:3:4:5:6:7:8 65535 0\r\n",
        "PROXY TCP6 ABCD:ef01::0 1:2:3:4:5:6::8 9 10\r\n", "PROXY TCP6 0001::00ff ::ffff:192.0.2.1 9 10\r\n"})
    EXPECT_EQ(parse(line).result, ParseResult::done) << line;
}

TEST(DamagedLine, EndsWithCrLfAndWithNothingElseWhereverItIsCut) {
  const std::string line = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443";
  for (std::string ending : {"\r", "\n", "\n\r", "\r\r\n", "\r \n", "\n\r\n", "\r\0\n", " \r\n"})
    for (size_t cut = 0; cut <= line.size() + ending.size(); ++cut) {
      const Parsed got = parse(as_bytes(line + ending), Mode::any, {cut});
      EXPECT_NE(got.result, ParseResult::done) << to_hex(as_bytes(ending)) << " cut at " << cut;
      EXPECT_EQ(got.header.source, std::nullopt);
    }
  // A CR or LF in the place of any byte, and put in before any byte.
  for (size_t i = 0; i < line.size(); ++i)
    for (char c : {'\r', '\n'})
      for (bool insert : {false, true}) {
        std::string bad = line + "\r\n";
        if (insert) bad.insert(i, 1, c);
        if (!insert) bad[i] = c;
        EXPECT_NE(parse(bad).result, ParseResult::done) << i << insert;
      }
}

TEST(DamagedLine, Takes107BytesAndNoMoreWhereverItIsCut) {
  for (size_t size : {size_t{105}, size_t{106}, size_t{107}, size_t{108}, size_t{109}, size_t{200}}) {
    const std::string line = "PROXY UNKNOWN " + std::string(size - 16, 'x') + "\r\n";
    ASSERT_EQ(line.size(), size);
    for (size_t cut = 0; cut <= size; ++cut) {
      const Parsed got = parse(as_bytes(line), Mode::any, {cut});
      EXPECT_EQ(got.result, size <= 107 ? ParseResult::done : ParseResult::malformed) << size << " " << cut;
      EXPECT_EQ(got.consumed, std::min<size_t>(size, 107)) << size << " " << cut;
    }
  }
}

TEST(DamagedLine, NothingStandsBeforeIt) {
  const Bytes line = Bytes() + as_bytes("PROXY UNKNOWN\r\n"), binary = v2(0x21, 0x11, v4_block());
  for (int byte = 0; byte < 256; ++byte)
    for (const Bytes& header : {line, binary}) {
      const Bytes shifted = Bytes{static_cast<uint8_t>(byte)} + header;
      EXPECT_EQ(parse(shifted).result, ParseResult::malformed) << byte;
    }
}

}  // namespace
}  // namespace smartvpn::proxyproto
