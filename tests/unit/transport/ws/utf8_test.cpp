#include "transport/ws/utf8.hpp"

#include <gtest/gtest.h>

namespace smartvpn::ws {
namespace {

// The slow, obvious version: is `code` a scalar value, and is this its shortest encoding?
std::string encode(uint32_t code, size_t length) {
  std::string out(length, 0);
  for (size_t i = length; i-- > 1; code >>= 6) out[i] = static_cast<char>(0x80 | (code & 0x3f));
  constexpr uint8_t kLead[] = {0, 0, 0xc0, 0xe0, 0xf0};
  out[0] = static_cast<char>(kLead[length] | code);
  return out;
}

TEST(Utf8, AcceptsEveryScalarValueAndNoSurrogate) {
  for (uint32_t code = 0; code <= 0x10ffff; ++code) {
    const size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    ASSERT_EQ(is_utf8(as_bytes(encode(code, length))), !surrogate) << code;
  }
}

TEST(Utf8, RefusesOverlongForms) {
  for (uint32_t code = 0; code < 0x80; ++code) ASSERT_FALSE(is_utf8(as_bytes(encode(code, 2))));
  for (uint32_t code = 0; code < 0x800; ++code) ASSERT_FALSE(is_utf8(as_bytes(encode(code, 3))));
  for (uint32_t code = 0; code < 0x10000; ++code) ASSERT_FALSE(is_utf8(as_bytes(encode(code, 4))));
}

TEST(Utf8, RefusesCodePointsAboveTheLastOneAndStrayBytes) {
  for (uint32_t code = 0x110000; code < 0x200000; ++code) ASSERT_FALSE(is_utf8(as_bytes(encode(code, 4))));
  for (int b = 0x80; b < 0x100; ++b) {
    const uint8_t byte = static_cast<uint8_t>(b);
    EXPECT_FALSE(is_utf8({&byte, 1})) << b;
  }
}

TEST(Utf8, FailsAtTheFirstImpossibleByte) {
  for (const char* hex : {"80", "c0", "c1", "f5", "ff", "e080", "e09f", "eda0", "f080", "f490", "c2c2", "e2822e"}) {
    const Bytes bytes = *from_hex(hex);
    Utf8Validator v;
    ASSERT_TRUE(v.feed(ByteView(bytes).first(bytes.size() - 1))) << hex;
    EXPECT_FALSE(v.feed(ByteView(bytes).last(1))) << hex;
    EXPECT_FALSE(v.feed(as_bytes("a"))) << "an error must stick: " << hex;
    EXPECT_FALSE(v.complete()) << hex;
    v.reset();
    EXPECT_TRUE(v.feed(as_bytes("a")) && v.complete());
  }
}

TEST(Utf8, SaysTheSameHoweverTheTextIsCut) {
  const std::string text =
      "plain ascii run of some length \xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5 \xf0\x9f\x98\x80 and more";
  for (size_t a = 0; a <= text.size(); ++a) {
    for (size_t b = a; b <= text.size(); ++b) {
      Utf8Validator v;
      ASSERT_TRUE(v.feed(as_bytes(text.substr(0, a))) && v.feed(as_bytes(text.substr(a, b - a))) &&
                  v.feed(as_bytes(text.substr(b))) && v.complete());
    }
  }
}

TEST(Utf8, IsIncompleteInsideACharacter) {
  Utf8Validator v;
  ASSERT_TRUE(v.feed(as_bytes("\xf0\x9f\x98")));
  EXPECT_FALSE(v.complete());
  ASSERT_TRUE(v.feed(as_bytes("\x80")));
  EXPECT_TRUE(v.complete());
}

TEST(Utf8Prefix, NeverEndsInsideACharacter) {
  const ByteView text = as_bytes(
      "a\xe2\x82\xac"
      "b");
  EXPECT_EQ(utf8_prefix(text, 0), 0u);
  EXPECT_EQ(utf8_prefix(text, 1), 1u);
  EXPECT_EQ(utf8_prefix(text, 2), 1u);
  EXPECT_EQ(utf8_prefix(text, 3), 1u);
  EXPECT_EQ(utf8_prefix(text, 4), 4u);
  EXPECT_EQ(utf8_prefix(text, 99), 5u);
}

}  // namespace
}  // namespace smartvpn::ws
