// Under load: burst, refill, isolation of sources, and a bounded table (the kernel's ratelimiter timings).
#include "transport/wireguard/handshake_limiter.hpp"

#include <gtest/gtest.h>

namespace smartvpn::wireguard {
namespace {

inet::IpAddress address(const char* text) { return *inet::IpAddress::parse(text); }
const Time kStart{seconds(1000)};

TEST(WireguardChecklist, LimiterHasItsBurstAndRefills) {
  HandshakeLimiter limiter;
  const auto source = address("192.0.2.1");
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.allow(source, kStart));
  EXPECT_FALSE(limiter.allow(source, kStart));
  EXPECT_FALSE(limiter.allow(source, kStart + milliseconds(49)));
  EXPECT_TRUE(limiter.allow(source, kStart + milliseconds(50)));
  EXPECT_FALSE(limiter.allow(source, kStart + milliseconds(51)));
  int allowed = 0;
  for (int ms = 1000; ms < 11'000; ++ms) allowed += limiter.allow(source, kStart + milliseconds(ms));
  EXPECT_GE(allowed, 200);
  EXPECT_LE(allowed, 205);  // 20 a second and the burst
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.allow(source, kStart + seconds(100)));
  EXPECT_FALSE(limiter.allow(source, kStart + seconds(100)));
}

TEST(WireguardChecklist, LimiterKeepsSourcesApartAndIpv6BySixtyFour) {
  HandshakeLimiter limiter;
  for (int i = 0; i < 6; ++i) EXPECT_EQ(limiter.allow(address("192.0.2.1"), kStart), i < 5);
  EXPECT_TRUE(limiter.allow(address("192.0.2.2"), kStart));
  EXPECT_EQ(limiter.size(), 2u);
  int allowed = 0;
  for (const char* text : {"2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:0:1", "2001:db8:0:0:1::", "2001:db8::9",
                           "2001:db8:0:0:ffff:ffff:ffff:ffff"})
    allowed += limiter.allow(address(text), kStart);
  EXPECT_EQ(allowed, 5);
  EXPECT_TRUE(limiter.allow(address("2001:db8:0:1::1"), kStart));
}

TEST(WireguardChecklist, LimiterTableIsBoundedAndForgetsTheIdle) {
  HandshakeLimiter limiter(100);
  for (uint32_t i = 0; i < 100; ++i) EXPECT_TRUE(limiter.allow(inet::IpAddress::v4(0x0a000000 + i), kStart));
  EXPECT_FALSE(limiter.allow(address("192.0.2.1"), kStart));
  EXPECT_TRUE(limiter.allow(address("10.0.0.5"), kStart)) << "who has a place keeps it";
  EXPECT_EQ(limiter.size(), 100u);
  EXPECT_FALSE(limiter.allow(address("192.0.2.1"), kStart + milliseconds(999)));
  EXPECT_TRUE(limiter.allow(address("192.0.2.1"), kStart + seconds(2)));
  EXPECT_EQ(limiter.size(), 1u);
}

TEST(WireguardChecklist, LimiterIsNotHarmedByAClockThatGoesBack) {
  HandshakeLimiter limiter;
  const auto source = address("192.0.2.1");
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.allow(source, kStart));
  EXPECT_FALSE(limiter.allow(source, kStart - seconds(60)));
  EXPECT_TRUE(limiter.allow(source, kStart));
}

}  // namespace
}  // namespace smartvpn::wireguard
