// Which target is next.
#include "relay/balancer.hpp"

#include <gtest/gtest.h>

namespace smartvpn::relay {
namespace {

using Balance = config::RelayActionConfig::Balance;
const Time kStart = Time(seconds(1000));

TEST(Balancer, TakesTurns) {
  Balancer balancer(3, Balance::round_robin);
  for (size_t i = 0; i < 7; ++i) EXPECT_EQ(balancer.pick(kStart, 0), i % 3);
}

TEST(Balancer, GivesNothingTwiceToOneConnection) {
  Balancer balancer(2, Balance::round_robin);
  EXPECT_EQ(balancer.pick(kStart, 1), 1u);
  EXPECT_EQ(balancer.pick(kStart, 2), 0u);
  EXPECT_FALSE(balancer.pick(kStart, 3));
  Balancer all(64, Balance::round_robin);
  EXPECT_FALSE(all.pick(kStart, ~uint64_t{0}));
}

TEST(Balancer, PrefersTheOneWithTheFewestConnections) {
  Balancer balancer(3, Balance::least_connections);
  balancer.opened(0);
  balancer.opened(0);
  balancer.opened(2);
  EXPECT_EQ(balancer.pick(kStart, 0), 1u);
  balancer.opened(1);
  balancer.closed(0);
  balancer.closed(0);
  EXPECT_EQ(balancer.pick(kStart, 0), 0u);
  EXPECT_EQ(balancer.pick(kStart, 1), 1u) << "of two alike the next in turn";
}

TEST(Balancer, LeavesOutWhoFailsForAWhileThatDoubles) {
  Balancer balancer(2, Balance::round_robin);
  EXPECT_TRUE(balancer.failed(0, kStart)) << "the first time";
  EXPECT_FALSE(balancer.healthy(0));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(balancer.pick(kStart + milliseconds(999), 0), 1u);
  EXPECT_EQ(balancer.pick(kStart + seconds(1), 0), 0u);
  EXPECT_FALSE(balancer.failed(0, kStart + seconds(1)));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(balancer.pick(kStart + milliseconds(2999), 0), 1u);
  EXPECT_EQ(balancer.pick(kStart + seconds(3), 0), 0u);
  for (int i = 0; i < 100; ++i) balancer.failed(0, kStart);
  EXPECT_EQ(balancer.pick(kStart + seconds(60), 2), 0u);
  EXPECT_TRUE(balancer.succeeded(0));
  EXPECT_FALSE(balancer.succeeded(0));
  EXPECT_TRUE(balancer.healthy(0));
}

TEST(Balancer, WhereAllAreOutTakesTheOneThatIsBackFirst) {
  Balancer balancer(2, Balance::least_connections);
  balancer.failed(0, kStart);
  balancer.failed(0, kStart);
  balancer.failed(1, kStart);
  EXPECT_EQ(balancer.pick(kStart, 0), 1u);
  EXPECT_EQ(balancer.pick(kStart, 2), 0u) << "and then the other";
}

}  // namespace
}  // namespace smartvpn::relay
