#include "telemetry/json_text.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace smartvpn::telemetry {
namespace {

const std::string kBad = "\xEF\xBF\xBD";

TEST(JsonText, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(clean_utf8("caf\xC3\xA9", 100), "caf\xC3\xA9");
  EXPECT_EQ(clean_utf8("a\xFFz", 100), "a" + kBad + "z");
  EXPECT_EQ(clean_utf8("\xC0\xAF", 100), kBad + kBad);             // overlong
  EXPECT_EQ(clean_utf8("\xED\xA0\x80", 100), kBad + kBad + kBad);  // surrogate
  EXPECT_EQ(clean_utf8("\xF4\x90\x80\x80", 100), kBad + kBad + kBad + kBad);
  EXPECT_EQ(clean_utf8("\xF0\x9F\x98\x80", 100), "\xF0\x9F\x98\x80");
  EXPECT_EQ(clean_utf8("\xE2\x82", 100), kBad + kBad);  // cut off
}

TEST(JsonText, CutsAtACharactersBorder) {
  EXPECT_EQ(clean_utf8("ab\xC3\xA9", 3), "ab");
  EXPECT_EQ(clean_utf8("ab\xC3\xA9", 4), "ab\xC3\xA9");
}

TEST(JsonText, AnyBytesBecomeJsonThatAParserReadsBack) {
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes;
    for (size_t n = random() % 40; n > 0; --n) bytes += static_cast<char>(random());
    std::string clean = clean_utf8(bytes, 1000), out;
    append_json_string(out, clean);
    auto parsed = nlohmann::json::parse(out, nullptr, false);
    ASSERT_TRUE(parsed.is_string()) << out;
    EXPECT_EQ(parsed.get<std::string>(), clean);
  }
}

}  // namespace
}  // namespace smartvpn::telemetry
