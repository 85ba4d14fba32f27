#include "telemetry/link_quality.hpp"

#include <gtest/gtest.h>

namespace smartvpn::telemetry {
namespace {

constexpr Time kStart{seconds(1000)};
constexpr milliseconds ms(int64_t n) { return milliseconds(n); }

TEST(LinkEstimator, SmoothsAsRfc6298Says) {
  LinkEstimator link;
  link.on_rtt(ms(100), kStart);
  EXPECT_EQ(link.quality().rtt_us, 100000u);
  EXPECT_EQ(link.quality().rtt_var_us, 50000u);
  link.on_rtt(ms(180), kStart + seconds(1));
  EXPECT_EQ(link.quality().rtt_us, 110000u);     // 7/8 * 100 + 1/8 * 180
  EXPECT_EQ(link.quality().rtt_var_us, 57500u);  // 3/4 * 50 + 1/4 * |100 - 180|
  EXPECT_EQ(link.quality().samples, 2u);
}

TEST(LinkEstimator, JitterFollowsRfc3550) {
  LinkEstimator link;
  link.on_rtt(ms(100), kStart);
  EXPECT_EQ(link.quality().jitter_us, 0u);
  link.on_rtt(ms(116), kStart);
  EXPECT_EQ(link.quality().jitter_us, 1000u);  // 16 ms / 16
  for (int i = 0; i < 500; ++i) link.on_rtt(ms(116), kStart);
  EXPECT_EQ(link.quality().jitter_us, 0u);
}

TEST(LinkEstimator, MinimumLeavesWithItsWindow) {
  LinkEstimator link;
  link.on_rtt(ms(20), kStart);
  link.on_rtt(ms(50), kStart + seconds(299));
  EXPECT_EQ(link.quality().rtt_min_us, 20000u);
  link.on_rtt(ms(50), kStart + seconds(301));
  EXPECT_EQ(link.quality().rtt_min_us, 20000u);
  link.on_rtt(ms(60), kStart + seconds(602));
  EXPECT_EQ(link.quality().rtt_min_us, 50000u);
  link.on_rtt(ms(70), kStart + seconds(5000));
  EXPECT_EQ(link.quality().rtt_min_us, 70000u);
}

TEST(LinkEstimator, WorsensAtOnceAndImprovesAfterTwoSamples) {
  LinkEstimator link;
  link.on_rtt(ms(20), kStart);
  EXPECT_EQ(link.health(), Health::good);
  EXPECT_FALSE(link.take_health_change());
  link.on_ping_unanswered();
  EXPECT_EQ(link.health(), Health::fair);
  EXPECT_TRUE(link.take_health_change());
  EXPECT_FALSE(link.take_health_change());
  link.on_ping_unanswered();
  EXPECT_EQ(link.health(), Health::poor);
  link.on_rtt(ms(20), kStart);
  EXPECT_EQ(link.health(), Health::poor);
  link.on_rtt(ms(20), kStart);
  EXPECT_EQ(link.health(), Health::good);
}

TEST(LinkEstimator, InflatedRttIsFairThenPoor) {
  LinkEstimator link;
  link.on_rtt(ms(20), kStart);
  for (int i = 0; i < 100; ++i) link.on_rtt(ms(150), kStart);
  EXPECT_EQ(link.health(), Health::fair);
  for (int i = 0; i < 100; ++i) link.on_rtt(ms(600), kStart);
  EXPECT_EQ(link.health(), Health::poor);
  LinkEstimator satellite;
  for (int i = 0; i < 10; ++i) satellite.on_rtt(ms(600), kStart);
  EXPECT_EQ(satellite.health(), Health::fair);  // slow, but not inflated
}

TEST(LinkEstimator, LossIsAbsentUntilTheCarrierReportsIt) {
  LinkEstimator link;
  EXPECT_FALSE(link.quality().loss_ppm);
  link.on_loss(0, 0);
  EXPECT_FALSE(link.quality().loss_ppm);
  link.on_loss(100, 5);
  EXPECT_EQ(link.quality().loss_ppm, 50000u);
  EXPECT_EQ(link.health(), Health::fair);
  for (int i = 0; i < 50; ++i) link.on_loss(10, 200);
  EXPECT_GT(*link.quality().loss_ppm, 990000u);
  EXPECT_LE(*link.quality().loss_ppm, 1000000u);
  EXPECT_EQ(link.health(), Health::poor);
}

TEST(LinkEstimator, DeadUntilSomethingIsHeard) {
  LinkEstimator link;
  link.mark_dead();
  link.on_ping_unanswered();
  EXPECT_EQ(link.health(), Health::dead);
  link.on_heard();
  EXPECT_EQ(link.health(), Health::good);
  EXPECT_STREQ(health_name(Health::dead), "dead");
}

TEST(LinkEstimator, AbsurdSamplesDoNotOverflow) {
  LinkEstimator link;
  for (int i = 0; i < 100; ++i) {
    link.on_rtt(Duration::max(), kStart);
    link.on_rtt(Duration::min(), kStart);
  }
  EXPECT_LE(link.quality().rtt_us, 3600000000u);
  EXPECT_LE(link.quality().jitter_us, 3600000000u);
}

}  // namespace
}  // namespace smartvpn::telemetry
