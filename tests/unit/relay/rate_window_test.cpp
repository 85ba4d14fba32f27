#include "relay/rate_window.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <random>

namespace smartvpn::relay {
namespace {

const Time kRateStart = Time() + std::chrono::hours(50);

TEST(RateWindow, OfLessThanTwoSamplesIsNothing) {
  RateWindow window;
  for (unsigned seconds : {0u, 1u, 10u, 60u, 1000u}) EXPECT_EQ(window.per_second(seconds), 0);
  window.sample(kRateStart, 1000000);
  for (unsigned seconds : {0u, 1u, 10u, 60u, 1000u}) EXPECT_EQ(window.per_second(seconds), 0) << "all of it is old";
}

TEST(RateWindow, IsGrowthOverAsManySamplesAsThereAre) {
  RateWindow window;
  const uint64_t totals[] = {100, 110, 110, 140};
  for (size_t i = 0; i < std::size(totals); ++i) window.sample(kRateStart + seconds(i), totals[i]);
  EXPECT_EQ(window.per_second(0), 0);
  EXPECT_EQ(window.per_second(1), 30);
  EXPECT_EQ(window.per_second(2), 15);
  EXPECT_EQ(window.per_second(3), 40.0 / 3);
  for (unsigned longer : {4u, 10u, 60u, 61u, 1000u, UINT32_MAX}) EXPECT_EQ(window.per_second(longer), 40.0 / 3);
}

TEST(RateWindow, ForgetsWhatIsOlderThanItself) {
  RateWindow window;
  window.sample(kRateStart, 0);
  window.sample(kRateStart + seconds(1), 600);
  for (unsigned i = 2; i <= 60; ++i) {
    window.sample(kRateStart + seconds(i), 600);
    EXPECT_EQ(window.per_second(10), i < 11 ? 600.0 / std::min(i, 10u) : 0) << i;
    EXPECT_EQ(window.per_second(60), 600.0 / i) << i;
  }
  window.sample(kRateStart + seconds(61), 600);
  EXPECT_EQ(window.per_second(60), 0);
}

TEST(RateWindow, AConnectionThatLivesLongDoesNotMakeItClimb) {
  RateWindow idle, steady;
  for (unsigned i = 0; i < 5000; ++i) {
    idle.sample(kRateStart + seconds(i), uint64_t{1} << 50);
    steady.sample(kRateStart + seconds(i), (uint64_t{1} << 60) + uint64_t{i} * 1000);
    for (unsigned back : {1u, 10u, 60u}) {
      ASSERT_EQ(idle.per_second(back), 0) << i;
      ASSERT_EQ(steady.per_second(back), i == 0 ? 0 : 1000) << i;
    }
  }
}

TEST(RateWindow, AGapOfTheClockIsTimeThatHasPassed) {
  RateWindow window;
  window.sample(kRateStart, 0);
  window.sample(kRateStart + seconds(1), 10);
  window.sample(kRateStart + seconds(101), 1010);  // the machine slept, or the loop was busy
  EXPECT_EQ(window.per_second(1), 10);
  EXPECT_EQ(window.per_second(60), 10);
  window.sample(kRateStart + std::chrono::hours(24 * 365), 1010);
  EXPECT_EQ(window.per_second(1), 0);
  window.sample(kRateStart + std::chrono::hours(24 * 365) + milliseconds(500), 1020);
  EXPECT_EQ(window.per_second(1), 20);
}

TEST(RateWindow, AfterALateSampleAWindowIsAsLongAsItSays) {
  RateWindow window;
  for (unsigned i = 0; i < 20; ++i) window.sample(kRateStart + seconds(i), 0);
  window.sample(kRateStart + seconds(40), 0);
  for (unsigned i = 1; i <= 15; ++i) window.sample(kRateStart + seconds(40 + i), i * 60);
  EXPECT_EQ(window.per_second(10), 60);
  EXPECT_EQ(window.per_second(20), 900.0 / 36) << "from before the gap";
  EXPECT_EQ(window.per_second(60), 900.0 / 55);
}

TEST(RateWindow, AClockThatStandsOrGoesBackGivesNoNonsense) {
  RateWindow window;
  window.sample(kRateStart, 0);
  window.sample(kRateStart, 1000);
  EXPECT_EQ(window.per_second(1), 0);
  window.sample(kRateStart - seconds(5), 2000);
  EXPECT_EQ(window.per_second(1), 0);
  EXPECT_EQ(window.per_second(2), 0);
  window.sample(kRateStart + seconds(1), 2600);
  EXPECT_EQ(window.per_second(1), 100);
}

TEST(RateWindow, CountersOfEverySizeAreExact) {
  RateWindow window;
  window.sample(kRateStart, UINT64_MAX - 8);
  window.sample(kRateStart + seconds(1), UINT64_MAX - 3);
  EXPECT_EQ(window.per_second(1), 5);
}

TEST(RateWindow, ACounterThatHasShrunkWasBegunAnew) {
  RateWindow window;
  for (unsigned i = 0; i <= 30; ++i) window.sample(kRateStart + seconds(i), uint64_t{i} * 100);
  window.sample(kRateStart + seconds(31), 7);
  for (unsigned back : {1u, 10u, 60u}) EXPECT_EQ(window.per_second(back), 0) << back;
  window.sample(kRateStart + seconds(32), 10);
  for (unsigned back : {1u, 10u, 60u}) EXPECT_EQ(window.per_second(back), 3) << "nothing from before counts";
}

TEST(RateWindow, AgreesWithAListOfSamples) {
  std::mt19937 random(5);
  RateWindow window;
  std::deque<std::pair<Time, uint64_t>> list;
  Time now = kRateStart;
  uint64_t total = 0;
  for (int step = 0; step < 2000; ++step) {
    now += milliseconds(random() % 10 == 0 ? random() % 100000 : 900 + random() % 200);
    total += random() % 3 == 0 ? 0 : random();
    window.sample(now, total);
    list.emplace_back(now, total);
    if (list.size() > RateWindow::kLongest + 1) list.pop_front();
    for (unsigned back : {1u, 2u, 10u, 59u, 60u, 61u}) {
      size_t at = list.size() - 1;
      while (at > 0 && now - list[at].first < seconds(back) - milliseconds(500)) --at;
      const auto& first = list[at];
      const double elapsed = std::chrono::duration<double>(now - first.first).count();
      const double expected = elapsed > 0 ? static_cast<double>(total - first.second) / elapsed : 0;
      const double got = window.per_second(back);
      ASSERT_TRUE(std::isfinite(got) && got >= 0);
      ASSERT_DOUBLE_EQ(got, expected) << step << " " << back;
    }
  }
}

}  // namespace
}  // namespace smartvpn::relay
