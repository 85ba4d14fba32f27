#include "relay/balancer.hpp"

#include <gtest/gtest.h>

#include <random>

namespace smartvpn::relay {
namespace {

using Balance = config::RelayActionConfig::Balance;
const Time kBalanceStart = Time() + std::chrono::hours(3);

// Which targets are given, one after the other, each to a connection that has tried none.
std::vector<size_t> turns(Balancer& balancer, size_t count, Time now = kBalanceStart) {
  std::vector<size_t> out;
  for (size_t i = 0; i < count; ++i) out.push_back(balancer.pick(now, 0).value_or(999));
  return out;
}

TEST(Balancer, RoundRobinTakesTurns) {
  Balancer balancer(3, Balance::round_robin);
  EXPECT_EQ(turns(balancer, 7), (std::vector<size_t>{0, 1, 2, 0, 1, 2, 0}));
}

TEST(Balancer, RoundRobinDoesNotCountConnections) {
  Balancer balancer(2, Balance::round_robin);
  for (int i = 0; i < 10; ++i) balancer.opened(0);
  EXPECT_EQ(turns(balancer, 4), (std::vector<size_t>{0, 1, 0, 1}));
}

TEST(Balancer, OneTargetIsTheTarget) {
  for (auto balance : {Balance::round_robin, Balance::least_connections}) {
    Balancer balancer(1, balance);
    EXPECT_EQ(turns(balancer, 2), (std::vector<size_t>{0, 0}));
    EXPECT_TRUE(balancer.failed(0, kBalanceStart));
    EXPECT_EQ(balancer.pick(kBalanceStart, 0), 0u) << "there is no other";
    EXPECT_EQ(balancer.pick(kBalanceStart, 1), std::nullopt);
  }
}

TEST(Balancer, WhatWasTriedIsNotGivenAgain) {
  for (auto balance : {Balance::round_robin, Balance::least_connections}) {
    Balancer balancer(Balancer::kMaxTargets, balance);
    balancer.failed(63, kBalanceStart);
    uint64_t tried = 0;
    for (size_t i = 0; i < Balancer::kMaxTargets; ++i) {
      const auto target = balancer.pick(kBalanceStart, tried);
      ASSERT_TRUE(target);
      ASSERT_EQ(tried >> *target & 1, 0u) << *target;
      EXPECT_EQ(*target == 63, i == 63) << "it failed, so it comes last";
      tried |= uint64_t{1} << *target;
    }
    EXPECT_EQ(tried, UINT64_MAX);
    EXPECT_EQ(balancer.pick(kBalanceStart, tried), std::nullopt);
    EXPECT_EQ(balancer.pick(kBalanceStart, tried & ~(uint64_t{1} << 63)), 63u);
  }
}

TEST(Balancer, NothingIsGivenToWhoHasTriedAllAndNobodysTurnIsLost) {
  Balancer balancer(2, Balance::round_robin);
  EXPECT_EQ(balancer.pick(kBalanceStart, 0), 0u);
  EXPECT_EQ(balancer.pick(kBalanceStart, 3), std::nullopt);
  EXPECT_EQ(balancer.pick(kBalanceStart, UINT64_MAX), std::nullopt);
  EXPECT_EQ(balancer.pick(kBalanceStart, 0), 1u);
}

TEST(Balancer, AFailingTargetIsLeftOutForATimeThatDoubles) {
  Balancer balancer(2, Balance::round_robin);
  Time now = kBalanceStart;
  for (int pause : {1, 2, 4, 8, 16, 32, 60, 60, 60}) {
    EXPECT_EQ(balancer.failed(0, now), pause == 1) << "the first failure is news";
    EXPECT_FALSE(balancer.healthy(0));
    const Time back = now + seconds(pause);
    EXPECT_EQ(turns(balancer, 3, back - Duration(1)), (std::vector<size_t>{1, 1, 1})) << pause;
    EXPECT_EQ(turns(balancer, 2, back), (std::vector<size_t>{0, 1})) << pause;
    now = back;
  }
  EXPECT_TRUE(balancer.succeeded(0));
  EXPECT_FALSE(balancer.succeeded(0)) << "that is no news";
  EXPECT_TRUE(balancer.healthy(0));
  EXPECT_TRUE(balancer.failed(0, now));
  EXPECT_EQ(balancer.pick(now + seconds(1), 2), 0u);
  EXPECT_EQ(turns(balancer, 2, now + seconds(1)), (std::vector<size_t>{1, 0})) << "it begins with a second again";
}

TEST(Balancer, FailuresOfOneMomentAreOne) {
  Balancer balancer(2, Balance::round_robin);
  EXPECT_TRUE(balancer.failed(0, kBalanceStart));
  for (int i = 1; i < 20; ++i) EXPECT_FALSE(balancer.failed(0, kBalanceStart + milliseconds(i)));
  EXPECT_EQ(turns(balancer, 2, kBalanceStart + milliseconds(999)), (std::vector<size_t>{1, 1}));
  EXPECT_EQ(turns(balancer, 2, kBalanceStart + seconds(1)), (std::vector<size_t>{0, 1}));
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(balancer.failed(0, kBalanceStart + seconds(1)));
  EXPECT_EQ(turns(balancer, 2, kBalanceStart + milliseconds(2999)), (std::vector<size_t>{1, 1}));
  EXPECT_EQ(turns(balancer, 2, kBalanceStart + seconds(3)), (std::vector<size_t>{0, 1}));
}

TEST(Balancer, ATargetIsOutForItsTimeAlone) {
  Balancer balancer(3, Balance::round_robin);
  balancer.failed(1, kBalanceStart);
  EXPECT_TRUE(balancer.healthy(0) && balancer.healthy(2));
  EXPECT_EQ(turns(balancer, 4), (std::vector<size_t>{0, 2, 0, 2}));
  EXPECT_TRUE(balancer.succeeded(1));
  EXPECT_EQ(turns(balancer, 3), (std::vector<size_t>{0, 1, 2}));
}

TEST(Balancer, WhereAllAreOutTheOneWhoseTimeIsOverFirst) {
  Balancer balancer(3, Balance::round_robin);
  balancer.failed(1, kBalanceStart);
  balancer.failed(2, kBalanceStart + milliseconds(100));
  balancer.failed(0, kBalanceStart + milliseconds(200));
  const Time now = kBalanceStart + milliseconds(300);
  EXPECT_EQ(turns(balancer, 3, now), (std::vector<size_t>{1, 1, 1}));
  EXPECT_EQ(balancer.pick(now, 1 << 1), 2u);
  EXPECT_EQ(balancer.pick(now, 1 << 1 | 1 << 2), 0u);
  EXPECT_EQ(balancer.pick(now, 7), std::nullopt);
}

TEST(Balancer, LeastConnectionsTakesTheLeastBusyAndTurnsAmongEquals) {
  Balancer balancer(3, Balance::least_connections);
  EXPECT_EQ(turns(balancer, 4), (std::vector<size_t>{0, 1, 2, 0}));
  balancer.opened(1);
  balancer.opened(1);
  balancer.opened(2);
  EXPECT_EQ(turns(balancer, 2), (std::vector<size_t>{0, 0}));
  balancer.opened(0);
  balancer.opened(0);
  EXPECT_EQ(turns(balancer, 2), (std::vector<size_t>{2, 2}));
  balancer.opened(2);
  EXPECT_EQ(turns(balancer, 3), (std::vector<size_t>{0, 1, 2}));
  balancer.closed(1);
  EXPECT_EQ(turns(balancer, 2), (std::vector<size_t>{1, 1}));
  EXPECT_EQ(balancer.pick(kBalanceStart, 1 << 1), 2u);
}

TEST(Balancer, LeastConnectionsLeavesFailingTargetsOutHoweverIdle) {
  Balancer balancer(2, Balance::least_connections);
  for (int i = 0; i < 5; ++i) balancer.opened(0);
  balancer.failed(1, kBalanceStart);
  EXPECT_EQ(turns(balancer, 3), (std::vector<size_t>{0, 0, 0}));
  EXPECT_EQ(turns(balancer, 1, kBalanceStart + seconds(1)), (std::vector<size_t>{1}));
}

TEST(Balancer, SharesAreEven) {
  Balancer balancer(4, Balance::round_robin);
  balancer.failed(2, kBalanceStart);
  std::array<int, 4> given{};
  for (size_t target : turns(balancer, 300)) ++given.at(target);
  EXPECT_EQ(given, (std::array{100, 100, 0, 100}));
}

// What the header says, with a list for the turns.
struct SlowBalancer {
  struct Target {
    int open = 0, doublings = -1;  // -1: healthy
    Time out_until{};
  };
  std::vector<Target> targets;
  bool least;
  size_t next = 0;

  std::optional<size_t> pick(Time now, uint64_t tried) {
    std::vector<size_t> order, in;
    for (size_t i = 0; i < targets.size(); ++i) order.push_back((next + i) % targets.size());
    std::erase_if(order, [&](size_t i) { return (tried >> i & 1) != 0; });
    if (order.empty()) return std::nullopt;
    for (size_t i : order)
      if (targets[i].out_until <= now) in.push_back(i);
    auto by_open = [&](size_t a, size_t b) { return targets[a].open < targets[b].open; };
    auto by_time = [&](size_t a, size_t b) { return targets[a].out_until < targets[b].out_until; };
    size_t best = order.front();
    if (in.empty())
      best = *std::min_element(order.begin(), order.end(), by_time);
    else
      best = least ? *std::min_element(in.begin(), in.end(), by_open) : in.front();
    next = best + 1;
    return best;
  }
  bool failed(size_t i, Time now) {
    Target& target = targets[i];
    const bool news = target.doublings < 0;
    if (target.out_until > now) return false;
    target.doublings = std::min(target.doublings + 1, 20);
    target.out_until = now + seconds(std::min(1 << target.doublings, 60));
    return news;
  }
};

TEST(Balancer, AgreesWithASlowOne) {
  std::mt19937 random(3);
  for (bool least : {false, true})
    for (size_t count : {size_t{1}, size_t{2}, size_t{5}, size_t{64}}) {
      Balancer balancer(count, least ? Balance::least_connections : Balance::round_robin);
      SlowBalancer slow{std::vector<SlowBalancer::Target>(count), least};
      Time now = kBalanceStart;
      for (int step = 0; step < 3000; ++step) {
        now += milliseconds(random() % 1500);
        const uint64_t tried =
            random() % 2 == 0 ? 0 : (uint64_t{random()} << 32 | random()) & (uint64_t{random()} << 20);
        const auto target = balancer.pick(now, tried);
        ASSERT_EQ(target, slow.pick(now, tried)) << step;
        if (!target) continue;
        auto& state = slow.targets[*target];
        ASSERT_EQ(balancer.healthy(*target), state.doublings < 0);
        switch (random() % 4) {
          case 0:
            ASSERT_EQ(balancer.failed(*target, now), slow.failed(*target, now));
            break;
          case 1:
            ASSERT_EQ(balancer.succeeded(*target), state.doublings >= 0);
            state.doublings = -1;
            state.out_until = Time{};
            [[fallthrough]];
          case 2:
            balancer.opened(*target);
            ++state.open;
            break;
          default:
            if (state.open == 0) break;
            balancer.closed(*target);
            --state.open;
        }
      }
    }
}

}  // namespace
}  // namespace smartvpn::relay
