#include "telemetry/rejection_throttle.hpp"

#include <gtest/gtest.h>

namespace smartvpn::telemetry {
namespace {

constexpr Time kFirst{seconds(1000)};

TEST(RejectionThrottle, FirstOfEachReasonAndAddressIsReportedAtOnce) {
  RejectionThrottle throttle;
  EXPECT_TRUE(throttle.count(Reason::rate_limited, "192.0.2.1", kFirst));
  EXPECT_FALSE(throttle.count(Reason::rate_limited, "192.0.2.1", kFirst));
  EXPECT_TRUE(throttle.count(Reason::rate_limited, "192.0.2.2", kFirst));
  EXPECT_TRUE(throttle.count(Reason::ip_block_list, "192.0.2.1", kFirst));
  EXPECT_EQ(throttle.next_deadline(), kFirst + seconds(10));
}

TEST(RejectionThrottle, SummaryOnceAnIntervalThenForgotten) {
  RejectionThrottle throttle;
  std::vector<RejectionSummary> due;
  for (int i = 0; i < 6; ++i) throttle.count(Reason::rate_limited, "192.0.2.1", kFirst);
  throttle.count(Reason::rate_limited, "192.0.2.2", kFirst + seconds(1));
  throttle.tick(kFirst + seconds(9), due);
  EXPECT_TRUE(due.empty());
  throttle.tick(kFirst + seconds(10), due);
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].reason, Reason::rate_limited);
  EXPECT_EQ(due[0].address, "192.0.2.1");
  EXPECT_EQ(due[0].count, 5u);
  due.clear();
  throttle.tick(kFirst + seconds(15), due);
  EXPECT_TRUE(due.empty());
  EXPECT_EQ(throttle.size(), 1u);  // the one without repeats is gone
  EXPECT_FALSE(throttle.count(Reason::rate_limited, "192.0.2.1", kFirst + seconds(16)));
  throttle.tick(kFirst + seconds(20), due);
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].count, 1u);
  throttle.tick(kFirst + seconds(30), due);
  EXPECT_EQ(throttle.size(), 0u);
  EXPECT_EQ(throttle.next_deadline(), kNever);
  EXPECT_TRUE(throttle.count(Reason::rate_limited, "192.0.2.1", kFirst + seconds(31)));
}

TEST(RejectionThrottle, EveryRejectionIsReportedOrInASummary) {
  RejectionThrottle throttle(50, seconds(10));
  std::vector<RejectionSummary> due;
  uint64_t counted = 0, told = 0;
  Time now = kFirst;
  for (uint32_t step = 0; step < 20000; ++step, ++counted) {
    const uint32_t who = step * 2654435761u >> 25;  // of 128
    told += throttle.count(Reason::rate_limited, "198.51.100." + std::to_string(who), now);
    if (step % 7 == 0) throttle.tick(now += milliseconds(step % 900), due);
    ASSERT_LE(throttle.size(), 50u);
  }
  for (int i = 0; i < 3; ++i) throttle.tick(now += seconds(10), due);
  for (const auto& summary : due) told += summary.count;
  EXPECT_EQ(told, counted);
  EXPECT_EQ(throttle.size(), 0u);
}

TEST(RejectionThrottle, FullTableSumsByReasonAndStaysBounded) {
  RejectionThrottle throttle(2);
  std::vector<RejectionSummary> due;
  uint64_t reported = 0;
  for (int i = 0; i < 100; ++i) reported += throttle.count(Reason::rate_limited, "a" + std::to_string(i), kFirst);
  throttle.count(Reason::tls_failed, "b", kFirst + seconds(1));
  EXPECT_EQ(reported, 2u);
  EXPECT_EQ(throttle.size(), 2u);
  throttle.tick(kFirst + seconds(10), due);
  ASSERT_EQ(due.size(), 2u);
  EXPECT_EQ(due[0].address, "");
  EXPECT_EQ(due[0].reason, Reason::rate_limited);
  EXPECT_EQ(due[0].count, 98u);
  EXPECT_EQ(due[1].reason, Reason::tls_failed);
  EXPECT_EQ(due[1].count, 1u);
  EXPECT_EQ(throttle.next_deadline(), kNever);
}

}  // namespace
}  // namespace smartvpn::telemetry
