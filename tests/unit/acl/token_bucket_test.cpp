// The limit's arithmetic: exact over time whatever the sizes, bursts, and changes while it runs.
#include "acl/token_bucket.hpp"

#include <gtest/gtest.h>

namespace smartvpn::acl {
namespace {

const Time kFirst = Time(seconds(1000));

// What passes from `from` to `until` when there is always a packet of `size` waiting.
uint64_t passes(TokenBucket& bucket, Time from, Time until, uint64_t size) {
  uint64_t bytes = 0;
  for (Time now = from; now < until;) {
    if (bucket.open(now)) {
      bucket.spend(size, now);
      bytes += size;
    } else {
      now = std::max(bucket.opens_at(), now + Duration(1));
    }
  }
  return bytes;
}

TEST(TokenBucket, WithoutALimitEverythingPasses) {
  TokenBucket bucket;
  EXPECT_FALSE(bucket.limited());
  for (int i = 0; i < 1000; ++i) bucket.spend(1 << 20, kFirst);
  EXPECT_TRUE(bucket.open(kFirst));
  EXPECT_LE(bucket.opens_at(), kFirst);
}

TEST(TokenBucket, TheRateIsExactOverTimeWhateverTheSizesAndRates) {
  for (uint64_t rate : {1000ull, 123457ull, 1250000ull, 125000000ull, 1250000000ull}) {
    for (uint64_t size : {40ull, 1420ull, 65535ull}) {
      TokenBucket bucket;
      bucket.set(rate, 65536, kFirst);
      Time begin = kFirst;
      while (bucket.open(begin)) bucket.spend(size, begin);  // the burst is gone
      begin = bucket.opens_at();
      const Duration time = Duration(200000 * size * 1000000000 / rate);  // 200000 packets
      const auto bytes = static_cast<double>(passes(bucket, begin, begin + time, size));
      // But for the millisecond's worth at either end and a packet that is cut by it.
      const double slack = static_cast<double>(rate) / 500 + 2 * static_cast<double>(size);
      EXPECT_NEAR(bytes, 200000.0 * static_cast<double>(size), slack) << rate << " " << size;
    }
  }
}

TEST(TokenBucket, ABurstPassesAtOnceAndIsAQuarterOfASecondUnlessSaid) {
  auto burst_of = [](uint64_t rate, uint64_t burst) {
    TokenBucket bucket;
    bucket.set(rate, burst, kFirst);
    uint64_t bytes = 0;
    while (bucket.open(kFirst)) bucket.spend(100, kFirst), bytes += 100;
    return bytes;
  };
  EXPECT_NEAR(static_cast<double>(burst_of(10000000, 0)), 2500000, 200);
  EXPECT_NEAR(static_cast<double>(burst_of(1000, 0)), 65536, 200);
  EXPECT_NEAR(static_cast<double>(burst_of(1000000, 20000)), 20000, 200);
  EXPECT_NEAR(static_cast<double>(burst_of(1000000, 1)), 5000, 200);
}

TEST(TokenBucket, WhatIsLargerThanTheBucketPassesAndIsWaitedOff) {
  TokenBucket bucket;
  bucket.set(100000, 1000, kFirst);
  ASSERT_TRUE(bucket.open(kFirst));
  bucket.spend(50000, kFirst);
  EXPECT_FALSE(bucket.open(kFirst + milliseconds(480)));
  EXPECT_TRUE(bucket.open(kFirst + milliseconds(501)));
}

TEST(TokenBucket, OpensWhenItSaysSo) {
  TokenBucket bucket;
  bucket.set(1000000, 0, kFirst);
  while (bucket.open(kFirst)) bucket.spend(1420, kFirst);
  const Time at = bucket.opens_at();
  EXPECT_GT(at, kFirst);
  EXPECT_LE(at, kFirst + milliseconds(4));
  EXPECT_TRUE(bucket.open(at));
}

TEST(TokenBucket, AChangedLimitHoldsAtOnceAndNeitherGivesABurstNorKeepsADebt) {
  TokenBucket bucket;
  bucket.set(1000, 0, kFirst);
  bucket.spend(1000000, kFirst);  // a quarter of an hour in debt
  bucket.set(1000000, 0, kFirst);
  EXPECT_FALSE(bucket.open(kFirst));
  EXPECT_TRUE(bucket.open(kFirst + milliseconds(1)));
  bucket.set(0, 0, kFirst);
  EXPECT_TRUE(bucket.open(kFirst));
  bucket.set(1000, 500, kFirst);
  EXPECT_TRUE(bucket.open(kFirst));
}

TEST(TokenBucket, SettingTheSameLimitAgainChangesNothing) {
  TokenBucket bucket;
  bucket.set(1000, 0, kFirst);
  bucket.spend(1000000, kFirst);
  bucket.set(1000, 0, kFirst);
  EXPECT_FALSE(bucket.open(kFirst + seconds(900)));
}

TEST(TokenBucket, TheLargestNumbersOfAConfigurationDoNotOverflow) {
  TokenBucket bucket;
  bucket.set(uint64_t{1} << 53, uint64_t{1} << 53, kFirst);
  EXPECT_TRUE(bucket.open(kFirst));
  bucket.spend(65535, kFirst);
  EXPECT_TRUE(bucket.open(kFirst));
  bucket.set(1, uint64_t{1} << 53, kFirst);
  EXPECT_TRUE(bucket.open(kFirst));
  bucket.spend(65535, kFirst);
  bucket.set(1, 1, kFirst);
  bucket.spend(~uint64_t{0}, kFirst);
  EXPECT_FALSE(bucket.open(kFirst + seconds(3600)));
  EXPECT_TRUE(bucket.open(kFirst + seconds(3600 * 25)));
}

}  // namespace
}  // namespace smartvpn::acl
