// Two words against the compiler's own 128 bits, where it has them, and against known values everywhere.
#include "base/uint128.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace smartvpn {
namespace {

TwoWords words(uint64_t high, uint64_t low) { return TwoWords(high) << 64 | TwoWords(low); }

TEST(TwoWords, IsTrueWhenEitherWordIs) {
  EXPECT_TRUE(words(1, 0) ? true : false);
  EXPECT_TRUE(words(0, 1) ? true : false);
  EXPECT_FALSE(TwoWords(0) ? true : false);
}

TEST(TwoWords, CarryBorrowAndWrap) {
  EXPECT_EQ(words(0, ~uint64_t{0}) + 1, words(1, 0));
  EXPECT_EQ(words(1, 0) - 1, words(0, ~uint64_t{0}));
  EXPECT_EQ(TwoWords(0) - 1, ~TwoWords(0));
  EXPECT_EQ(TwoWords(-1), ~TwoWords(0));
  EXPECT_EQ(TwoWords(~uint64_t{0}) * TwoWords(~uint64_t{0}), words(~uint64_t{1}, 1));
  EXPECT_EQ(words(3, 5) / 7, words(0, 0x6db6db6db6db6db7));
  EXPECT_EQ(words(3, 5) % 7, TwoWords(4));
  EXPECT_LT(words(0, ~uint64_t{0}), words(1, 0));
  EXPECT_EQ(static_cast<uint32_t>(words(7, 0x100000002)), 2u);
}

#ifdef __SIZEOF_INT128__
TwoWords same(Uint128 value) { return words(static_cast<uint64_t>(value >> 64), static_cast<uint64_t>(value)); }

TEST(TwoWords, AgreeWithTheCompilersType) {
  std::mt19937_64 random(7);
  std::vector<Uint128> values{0, 1, 2, ~Uint128{0}, Uint128{1} << 63, Uint128{1} << 64, Uint128{1} << 127};
  for (int i = 0; i < 40; ++i) {
    const Uint128 any = Uint128{random()} << 64 | random();
    values.push_back(any >> random() % 128);
  }
  for (Uint128 a : values) {
    ASSERT_EQ(~same(a), same(~a));
    for (unsigned bits = 0; bits < 128; ++bits) {
      ASSERT_EQ(same(a) << bits, same(a << bits)) << bits;
      ASSERT_EQ(same(a) >> bits, same(a >> bits)) << bits;
    }
    for (Uint128 b : values) {
      ASSERT_EQ(same(a) + same(b), same(a + b));
      ASSERT_EQ(same(a) - same(b), same(a - b));
      ASSERT_EQ(same(a) * same(b), same(a * b));
      ASSERT_EQ(same(a) | same(b), same(a | b));
      ASSERT_EQ(same(a) < same(b), a < b);
      ASSERT_EQ(same(a) == same(b), a == b);
      if (b == 0) continue;
      ASSERT_EQ(same(a) / same(b), same(a / b));
      ASSERT_EQ(same(a) % same(b), same(a % b));
    }
  }
}
#endif

}  // namespace
}  // namespace smartvpn
