// Timestamps: their form, their coarseness, and that they only ever grow.
#include "transport/wireguard/tai64n.hpp"

#include <gtest/gtest.h>

namespace smartvpn::wireguard {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST(WireguardChecklist, TimestampsAreWhitenedToSixteenMilliseconds) {
  EXPECT_EQ(to_hex(tai64n(0).bytes), "400000000000000a00000000");
  EXPECT_EQ(to_hex(tai64n(1).bytes), "400000000000000a00000000");
  EXPECT_EQ(to_hex(tai64n((1 << 24) - 1).bytes), "400000000000000a00000000");
  EXPECT_EQ(to_hex(tai64n(1 << 24).bytes), "400000000000000a01000000");
  EXPECT_EQ(to_hex(tai64n(1'700'000'000 * kSecond + 999'999'999).bytes), "400000006553f10a3b000000");
  EXPECT_EQ(tai64n(-5), tai64n(0));
}

TEST(WireguardChecklist, TimestampsGrowThoughTheClockStandsOrGoesBack) {
  Tai64n last;
  EXPECT_TRUE(last.is_zero());
  int64_t clock = 1'700'000'000 * kSecond + 900'000'000;
  for (int i = 0; i < 1000; ++i) {
    const Tai64n next = tai64n(clock, last);
    EXPECT_GT(next, last);
    EXPECT_EQ(load_be32(next.bytes.data() + 8) & 0xffffff, 0u);
    EXPECT_LT(load_be32(next.bytes.data() + 8), kSecond);
    last = next;
    if (i == 500) clock -= 3600 * kSecond;
  }
  EXPECT_EQ(tai64n(clock + 7200 * kSecond, last), tai64n(clock + 7200 * kSecond))
      << "the clock again, once it is ahead";
}

}  // namespace
}  // namespace smartvpn::wireguard
