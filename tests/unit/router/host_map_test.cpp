#include "router/host_map.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "support/inet_packets.hpp"

namespace smartvpn::router {
namespace {

using namespace smartvpn::test;

TEST(HostMap, AgreesWithAMapUnderRandomChanges) {
  std::mt19937 random(9);
  HostMap<int> map;
  std::map<inet::IpAddress, int> want;
  for (int step = 0; step < 50000; ++step) {
    const auto base = random() % 2 ? ip("10.8.0.0") : ip("fd00:8::");
    const auto key = base.plus(random() % 300);
    if (random() % 2) {
      map.set(key, step);
      want[key] = step;
    } else {
      ASSERT_EQ(map.erase(key), want.erase(key) != 0);
    }
    ASSERT_EQ(map.size(), want.size());
    const auto probe = base.plus(random() % 300);
    const int* got = map.find(probe);
    const auto expected = want.find(probe);
    ASSERT_EQ(got != nullptr, expected != want.end());
    if (got) {
      ASSERT_EQ(*got, expected->second);
    }
  }
}

TEST(HostMap, EmptyMapFindsNothing) {
  HostMap<int> map;
  EXPECT_EQ(map.find(ip("10.8.0.1")), nullptr);
  EXPECT_FALSE(map.erase(ip("10.8.0.1")));
}

}  // namespace
}  // namespace smartvpn::router
