#include "acl/rate_limiter.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace smartvpn::acl {
namespace {

using inet::IpAddress;
using std::chrono::minutes;

const Time kStart = Time() + std::chrono::hours(5);
IpAddress ip(const char* text) { return *IpAddress::parse(text); }
IpAddress nth(uint32_t n) { return IpAddress::v4(0x0a000000u + n); }

TEST(RateLimiter, OpenConnectionsAreLimitedPerSource) {
  RateLimiter limiter({.connections_per_source = 2, .new_per_minute = 0});
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::none);
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::none);
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::too_many_connections);
  EXPECT_EQ(limiter.open(ip("192.0.2.2"), kStart), Reason::none);
  EXPECT_EQ(limiter.open_count(ip("192.0.2.1")), 2u);
  limiter.closed(ip("192.0.2.1"), kStart);
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::none);
}

TEST(RateLimiter, AnIpv6SubnetIsOneSource) {
  RateLimiter limiter({.connections_per_source = 1, .new_per_minute = 0});
  EXPECT_EQ(limiter.open(ip("2001:db8:0:1::1"), kStart), Reason::none);
  EXPECT_EQ(limiter.open(ip("2001:db8:0:1:ffff::2"), kStart), Reason::too_many_connections);
  EXPECT_EQ(limiter.open(ip("2001:db8:0:2::1"), kStart), Reason::none);
  limiter.closed(ip("2001:db8:0:1::9"), kStart);
  EXPECT_EQ(limiter.open(ip("2001:db8:0:1::1"), kStart), Reason::none);
}

TEST(RateLimiter, NewConnectionsPerMinute) {
  RateLimiter limiter({.connections_per_source = 0, .new_per_minute = 3});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::none) << i;
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::rate_limited);
  EXPECT_EQ(limiter.open(ip("192.0.2.2"), kStart), Reason::none);
  // One token grows in 20 s; being refused costs none.
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart + seconds(19)), Reason::rate_limited);
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart + seconds(20)), Reason::none);
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart + seconds(20)), Reason::rate_limited);
  // A long rest fills the bucket and no more.
  Time later = kStart + minutes(60);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limiter.open(ip("192.0.2.1"), later), Reason::none) << i;
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), later), Reason::rate_limited);
}

TEST(RateLimiter, ClosingDoesNotRefillTheBucket) {
  RateLimiter limiter({.connections_per_source = 0, .new_per_minute = 2});
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::none);
    limiter.closed(ip("192.0.2.1"), kStart);
  }
  EXPECT_EQ(limiter.source_count(), 1u);
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::rate_limited);
}

TEST(RateLimiter, BurstIsItsOwnNumber) {
  RateLimiter limiter({.connections_per_source = 0, .new_per_minute = 60, .burst = 2});
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::none);
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::none);
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::rate_limited);
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart + seconds(1)), Reason::none);
}

TEST(RateLimiter, ZeroMeansNoLimit) {
  RateLimiter limiter({.connections_per_source = 0, .new_per_minute = 0});
  for (int i = 0; i < 5000; ++i) ASSERT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::none);
  EXPECT_EQ(limiter.open_count(ip("192.0.2.1")), 5000u);
}

TEST(RateLimiter, FullTableRefusesNewSourcesNeverKnownOnes) {
  RateLimiter limiter({.connections_per_source = 0, .new_per_minute = 10, .max_sources = 100});
  for (uint32_t i = 0; i < 100; ++i) EXPECT_EQ(limiter.open(nth(i), kStart), Reason::none);
  for (uint32_t i = 100; i < 300; ++i) EXPECT_EQ(limiter.open(nth(i), kStart), Reason::rate_limited);
  EXPECT_EQ(limiter.source_count(), 100u);
  for (uint32_t i = 0; i < 100; ++i) EXPECT_EQ(limiter.open(nth(i), kStart), Reason::none);
  // Room comes when one has gone and its bucket is full again, not before.
  limiter.closed(nth(7), kStart);
  limiter.closed(nth(7), kStart);
  EXPECT_EQ(limiter.open(nth(500), kStart), Reason::rate_limited);
  limiter.tick(kStart + minutes(2));
  EXPECT_EQ(limiter.source_count(), 99u);
  EXPECT_EQ(limiter.open(nth(500), kStart + minutes(2)), Reason::none);
}

TEST(RateLimiter, ANewcomerAtAFullTableFindsTheForgettable) {
  RateLimiter limiter({.connections_per_source = 0, .new_per_minute = 10, .max_sources = 20});
  for (uint32_t i = 0; i < 20; ++i) {
    EXPECT_EQ(limiter.open(nth(i), kStart), Reason::none);
    limiter.closed(nth(i), kStart);
  }
  EXPECT_EQ(limiter.open(nth(99), kStart), Reason::rate_limited);
  EXPECT_EQ(limiter.open(nth(99), kStart + minutes(2)), Reason::none);
}

TEST(RateLimiter, TickForgetsAllIdleSourcesInBoundedSteps) {
  RateLimiter limiter({.connections_per_source = 0, .new_per_minute = 60}, 42);
  for (uint32_t i = 0; i < 65536; ++i) {
    ASSERT_EQ(limiter.open(nth(i), kStart), Reason::none);
    if (i % 1024) limiter.closed(nth(i), kStart);
  }
  EXPECT_EQ(limiter.open(nth(70000), kStart), Reason::rate_limited);
  limiter.tick(kStart);
  EXPECT_EQ(limiter.source_count(), 65536u);  // buckets not full yet
  limiter.tick(kStart + seconds(2));
  EXPECT_GT(limiter.source_count(), 30000u);
  for (int i = 0; i < 40; ++i) limiter.tick(kStart + seconds(2));
  EXPECT_EQ(limiter.source_count(), 64u);
}

TEST(RateLimiter, ClosedWithoutOpenChangesNothing) {
  RateLimiter limiter(RateLimits{});
  limiter.closed(ip("192.0.2.1"), kStart);
  EXPECT_EQ(limiter.source_count(), 0u);
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::none);
  limiter.closed(ip("192.0.2.1"), kStart);
  limiter.closed(ip("192.0.2.1"), kStart);
  EXPECT_EQ(limiter.open_count(ip("192.0.2.1")), 0u);
}

TEST(RateLimiter, NewLimitsHoldForWhatIsOpen) {
  RateLimiter limiter({.connections_per_source = 5, .new_per_minute = 0});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::none);
  limiter.set_limits({.connections_per_source = 2, .new_per_minute = 0});
  EXPECT_EQ(limiter.open(ip("192.0.2.1"), kStart), Reason::too_many_connections);
  EXPECT_EQ(limiter.open_count(ip("192.0.2.1")), 3u);
}

// A bucket kept as a number of tokens that is topped up at every question.
struct SlowBucket {
  double tokens;
  Time at;
  uint32_t open = 0;
};

TEST(RateLimiter, AgreesWithTheSlowVersion) {
  constexpr uint32_t kRate = 30, kBurst = 9, kOpen = 6;
  RateLimiter limiter({.connections_per_source = kOpen, .new_per_minute = kRate, .burst = kBurst}, 99);
  std::map<uint32_t, SlowBucket> slow;
  std::mt19937 random(4);
  Time now = kStart;
  int refused[2] = {};
  for (int step = 0; step < 100000; ++step) {
    now += milliseconds(100 * (random() % 4));  // tokens are whole numbers of these: 2 s each
    uint32_t who = static_cast<uint32_t>(random() % 4);
    auto& bucket = slow.try_emplace(who, SlowBucket{kBurst, now}).first->second;
    bucket.tokens =
        std::min<double>(kBurst, bucket.tokens + std::chrono::duration<double>(now - bucket.at).count() / 2);
    bucket.at = now;
    if (random() % 50 == 0) limiter.tick(now);
    if (bucket.open > 0 && random() % 3 == 0) {
      limiter.closed(nth(who), now);
      --bucket.open;
      continue;
    }
    Reason expected = Reason::none;
    if (bucket.open >= kOpen) {
      expected = Reason::too_many_connections;
    } else if (bucket.tokens < 1 - 1e-6) {
      expected = Reason::rate_limited;
    } else {
      bucket.tokens -= 1;
      ++bucket.open;
    }
    ASSERT_EQ(limiter.open(nth(who), now), expected) << step;
    ASSERT_EQ(limiter.open_count(nth(who)), bucket.open);
    refused[0] += expected == Reason::rate_limited;
    refused[1] += expected == Reason::too_many_connections;
  }
  EXPECT_GT(refused[0], 1000);
  EXPECT_GT(refused[1], 1000);
}

TEST(HandshakeGate, LetsSoManyInAndCountsThemOut) {
  HandshakeGate gate(2);
  EXPECT_TRUE(gate.enter() && gate.enter());
  EXPECT_FALSE(gate.enter());
  EXPECT_EQ(gate.count(), 2u);
  gate.leave();
  EXPECT_TRUE(gate.enter());
  gate.set_max(0);
  EXPECT_TRUE(gate.enter());
  HandshakeGate empty(1);
  empty.leave();
  EXPECT_EQ(empty.count(), 0u);
}

}  // namespace
}  // namespace smartvpn::acl
