#include "relay/connection_limits.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace smartvpn::relay {
namespace {

const Time kLimitsStart = Time() + std::chrono::hours(7);

config::RelayLimitsConfig limits_of(uint32_t connections, uint32_t per_ip, uint32_t per_minute) {
  config::RelayLimitsConfig out;
  out.connections = connections;
  out.connections_per_ip = per_ip;
  out.new_connections_per_ip_per_minute = per_minute;
  return out;
}
inet::IpAddress limit_ip(const char* text) { return *inet::IpAddress::parse(text); }
Reason comes(ConnectionLimits& limits, const char* from, Time now = kLimitsStart) {
  return limits.enter_address(limit_ip(from), now);
}

TEST(ConnectionLimits, SoManyInAllAndNoMore) {
  ConnectionLimits limits(limits_of(2, 0, 0), 1);
  EXPECT_EQ(limits.open(), 0u);
  EXPECT_TRUE(limits.enter());
  EXPECT_TRUE(limits.enter());
  EXPECT_FALSE(limits.enter());
  EXPECT_FALSE(limits.enter());
  EXPECT_EQ(limits.open(), 2u) << "who was refused is not counted";
  limits.leave();
  EXPECT_TRUE(limits.enter());
  EXPECT_FALSE(limits.enter());
}

TEST(ConnectionLimits, ZeroIsNoLimit) {
  ConnectionLimits limits(limits_of(0, 0, 0), 1);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(limits.enter());
    ASSERT_EQ(comes(limits, "192.0.2.1"), Reason::none);
    ASSERT_TRUE(limits.enter_route("a", 0));
  }
  EXPECT_EQ(limits.open(), 1000u);
}

TEST(ConnectionLimits, AnAddressOfEitherFamily) {
  ConnectionLimits limits(limits_of(0, 2, 0), 1);
  for (const char* from : {"192.0.2.1", "2001:db8:0:1::1"}) {
    EXPECT_EQ(comes(limits, from), Reason::none);
    EXPECT_EQ(comes(limits, from), Reason::none);
    EXPECT_EQ(comes(limits, from), Reason::too_many_connections);
  }
  EXPECT_EQ(comes(limits, "192.0.2.2"), Reason::none);
  limits.leave_address(limit_ip("192.0.2.1"), kLimitsStart);
  EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::none);
  EXPECT_EQ(comes(limits, "2001:db8:0:1::1"), Reason::too_many_connections);
}

TEST(ConnectionLimits, OfIpv6ASubnetIsOneAddress) {
  ConnectionLimits limits(limits_of(0, 1, 0), 1);
  EXPECT_EQ(comes(limits, "2001:db8:0:1::1"), Reason::none);
  EXPECT_EQ(comes(limits, "2001:db8:0:1:ffff:ffff:ffff:ffff"), Reason::too_many_connections);
  EXPECT_EQ(comes(limits, "2001:db8:0:2::1"), Reason::none);
  EXPECT_EQ(comes(limits, "2001:db8:0:3::1"), Reason::none);
  limits.leave_address(limit_ip("2001:db8:0:1::beef"), kLimitsStart);
  EXPECT_EQ(comes(limits, "2001:db8:0:1::2"), Reason::none);
}

TEST(ConnectionLimits, AMappedAddressIsItsIpv4One) {
  ConnectionLimits limits(limits_of(0, 1, 0), 1);
  EXPECT_EQ(comes(limits, "::ffff:192.0.2.1"), Reason::none);
  EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::too_many_connections);
  EXPECT_EQ(comes(limits, "::ffff:192.0.2.2"), Reason::none) << "not all of them are one /64";
  limits.leave_address(limit_ip("192.0.2.1"), kLimitsStart);
  EXPECT_EQ(comes(limits, "::ffff:192.0.2.1"), Reason::none);
}

TEST(ConnectionLimits, NewOnesAMinute) {
  ConnectionLimits limits(limits_of(0, 0, 60), 1);
  for (int i = 0; i < 60; ++i) {
    EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::none);
    limits.leave_address(limit_ip("192.0.2.1"), kLimitsStart);
  }
  EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::rate_limited) << "closing gives nothing back";
  limits.tick(kLimitsStart);
  EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::rate_limited) << "what is still owed is not forgotten";
  EXPECT_EQ(comes(limits, "192.0.2.2"), Reason::none);
  EXPECT_EQ(comes(limits, "192.0.2.1", kLimitsStart + seconds(1)), Reason::none);
  EXPECT_EQ(comes(limits, "192.0.2.1", kLimitsStart + seconds(1)), Reason::rate_limited);
}

TEST(ConnectionLimits, ARefusedAddressTakesNothing) {
  ConnectionLimits limits(limits_of(0, 1, 2), 1);
  EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::none);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::too_many_connections);
  limits.leave_address(limit_ip("192.0.2.1"), kLimitsStart);
  EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::none) << "the refused ones took no turn of this minute";
}

// As many as `limits.connections` can let in at all are a million; these are enough to go over the usual table.
TEST(ConnectionLimits, ManyAddressesAtOnceAreNotALimitOfTheirOwn) {
  for (const auto& config : {limits_of(0, 0, 0), limits_of(0, 100, 300)}) {
    ConnectionLimits limits(config, 77);
    constexpr uint32_t kCount = 70000;
    for (uint32_t i = 0; i < kCount; ++i)
      ASSERT_EQ(limits.enter_address(inet::IpAddress::v4(i), kLimitsStart), Reason::none) << i;
    for (uint32_t i = 0; i < kCount; ++i) limits.leave_address(inet::IpAddress::v4(i), kLimitsStart);
    EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::none);
  }
}

TEST(ConnectionLimits, ARouteHasItsOwn) {
  ConnectionLimits limits(limits_of(0, 0, 0), 1);
  EXPECT_TRUE(limits.enter_route("a", 2));
  EXPECT_TRUE(limits.enter_route("a", 2));
  EXPECT_FALSE(limits.enter_route("a", 2));
  EXPECT_TRUE(limits.enter_route("b", 2));
  EXPECT_TRUE(limits.enter_route("", 1));
  EXPECT_FALSE(limits.enter_route("", 1));
  limits.leave_route("a");
  EXPECT_TRUE(limits.enter_route("a", 2));
  EXPECT_FALSE(limits.enter_route("a", 2));
  EXPECT_EQ(limits.open(), 0u) << "in all is counted apart";
  // Its limit may change while connections are open.
  EXPECT_FALSE(limits.enter_route("a", 1));
  EXPECT_TRUE(limits.enter_route("a", 3));
  EXPECT_TRUE(limits.enter_route("a", 0));
  for (int i = 0; i < 4; ++i) limits.leave_route("a");
  EXPECT_TRUE(limits.enter_route("a", 1));
  EXPECT_FALSE(limits.enter_route("a", 1));
  limits.leave_route("nobody was here");
  EXPECT_TRUE(limits.enter_route("nobody was here", 1));
}

TEST(ConnectionLimits, ChangedOnesHoldForWhoComesAndSendNobodyAway) {
  ConnectionLimits limits(limits_of(3, 3, 0), 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(limits.enter());
    EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::none);
  }
  limits.set(limits_of(1, 2, 0));
  EXPECT_EQ(limits.open(), 3u);
  EXPECT_FALSE(limits.enter());
  EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::too_many_connections);
  for (int left : {2, 1}) {
    limits.leave();
    limits.leave_address(limit_ip("192.0.2.1"), kLimitsStart);
    EXPECT_FALSE(limits.enter()) << left << " are there still";
    EXPECT_EQ(comes(limits, "192.0.2.1") == Reason::none, left == 1);
  }
  limits.leave();
  EXPECT_TRUE(limits.enter());
  limits.set(limits_of(0, 0, 0));
  EXPECT_TRUE(limits.enter());
  for (int i = 0; i < 10; ++i) EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::none);
  limits.set(limits_of(0, 12, 0));
  EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::too_many_connections) << "who came without limits counts too";
}

TEST(ConnectionLimits, WorkersShareThemAndNothingIsLost) {
  constexpr uint32_t kMost = 3;
  ConnectionLimits limits(limits_of(kMost, kMost, 0), 5);
  std::atomic<uint32_t> inside{0}, most_inside{0}, entered{0};
  auto worker = [&](int which) {
    const inet::IpAddress from = which % 2 == 0 ? limit_ip("192.0.2.1") : limit_ip("::ffff:192.0.2.1");
    for (int i = 0; i < 4000; ++i) {
      limits.tick(kLimitsStart);
      if (!limits.enter()) continue;
      // No more of the same address or route than there are in all.
      EXPECT_EQ(limits.enter_address(from, kLimitsStart), Reason::none);
      EXPECT_TRUE(limits.enter_route("shared", kMost));
      const uint32_t now_inside = ++inside;
      for (uint32_t seen = most_inside; seen < now_inside && !most_inside.compare_exchange_weak(seen, now_inside);) {
      }
      ++entered;
      --inside;
      limits.leave_route("shared");
      limits.leave_address(from, kLimitsStart);
      limits.leave();
    }
  };
  std::vector<std::thread> workers;
  for (int i = 0; i < 6; ++i) workers.emplace_back(worker, i);
  for (std::thread& one : workers) one.join();
  EXPECT_LE(most_inside, kMost);
  EXPECT_GT(entered, 1000u);
  EXPECT_EQ(limits.open(), 0u);
  for (uint32_t i = 0; i < kMost; ++i) {
    EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::none);
    EXPECT_TRUE(limits.enter_route("shared", kMost));
  }
  EXPECT_EQ(comes(limits, "192.0.2.1"), Reason::too_many_connections);
  EXPECT_FALSE(limits.enter_route("shared", kMost));
}

}  // namespace
}  // namespace smartvpn::relay
