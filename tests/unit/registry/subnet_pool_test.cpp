#include "registry/subnet_pool.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace smartvpn::registry {
namespace {

using inet::Cidr;
using inet::IpAddress;

IpAddress pool_ip(const std::string& text) { return *IpAddress::parse(text); }
SubnetPool pool_of(const std::string& text, size_t remembered = 100) {
  return *SubnetPool::create(*Cidr::parse(text), remembered, "/p");
}

TEST(SubnetPool, RefusesSubnetsNobodyCanBeGivenAddressesFrom) {
  for (const char* bad :
       {"10.0.0.0/31", "10.0.0.1/32", "10.0.0.0/7", "0.0.0.0/8", "0.0.0.0/0", "127.0.0.0/24", "224.0.0.0/24",
        "169.254.0.0/16", "fd00::/127", "fd00::/128", "fd00::/15", "::/64", "ff02::/64", "fe80::/64"}) {
    auto pool = SubnetPool::create(*Cidr::parse(bad), 1, "/network/subnets/3");
    ASSERT_FALSE(pool) << bad;
    EXPECT_EQ(pool.error().status, Status::INVALID);
    EXPECT_EQ(pool.error().path, "/network/subnets/3");
  }
  EXPECT_FALSE(SubnetPool::create(Cidr{pool_ip("10.0.0.1"), 24}, 1, ""));
  EXPECT_FALSE(SubnetPool::create(Cidr{}, 1, ""));
}

TEST(SubnetPool, KeepsNetworkGatewayAndBroadcast) {
  SubnetPool v4 = pool_of("10.8.0.0/30");
  EXPECT_EQ(v4.gateway(), pool_ip("10.8.0.1"));
  for (const char* no : {"10.8.0.0", "10.8.0.1", "10.8.0.3", "10.8.0.4", "10.7.255.255", "fd00::2"})
    EXPECT_FALSE(v4.assignable(pool_ip(no))) << no;
  EXPECT_EQ(v4.take_any(), pool_ip("10.8.0.2"));
  EXPECT_EQ(v4.take_any(), std::nullopt);

  SubnetPool v6 = pool_of("fd00:8::/126");
  EXPECT_EQ(v6.gateway(), pool_ip("fd00:8::1"));
  EXPECT_EQ(v6.take_any(), pool_ip("fd00:8::2"));
  EXPECT_EQ(v6.take_any(), pool_ip("fd00:8::3")) << "IPv6 has no broadcast";
  EXPECT_EQ(v6.take_any(), std::nullopt);
}

TEST(SubnetPool, WalksTheLowAddressesOfAHugeSubnet) {
  SubnetPool pool = pool_of("fd00:8::/64");
  EXPECT_TRUE(pool.take(pool_ip("fd00:8::3")));
  EXPECT_TRUE(pool.take(pool_ip("fd00:8::ffff:ffff:ffff:ffff")));
  EXPECT_TRUE(pool.reserve(pool_ip("fd00:8::2")));
  EXPECT_EQ(pool.take_any(), pool_ip("fd00:8::4"));
  for (int i = 0; i < 10000; ++i) ASSERT_TRUE(pool.take_any());
  EXPECT_EQ(pool.in_use_count(), 10003u);
}

TEST(SubnetPool, AFullSlash16HandsOutEveryAddressOnce) {
  SubnetPool pool = pool_of("10.8.0.0/16");
  std::set<IpAddress> seen;
  while (auto next = pool.take_any()) EXPECT_TRUE(seen.insert(*next).second);
  EXPECT_EQ(seen.size(), 65536u - 3);
}

TEST(SubnetPool, MemoryOfPastLeasesIsBounded) {
  SubnetPool pool = pool_of("10.8.0.0/16", 10);
  for (int i = 0; i < 1000; ++i) {
    const std::string client = "c" + std::to_string(i);
    pool.give_back(*pool.take_any(), client);
    EXPECT_LE(pool.remembered_count(), 10u);
  }
  EXPECT_FALSE(pool.take_remembered("c0"));
  EXPECT_TRUE(pool.take_remembered("c999"));
}

// The obvious version: a row an address, every question a scan.
class SlowPool {
 public:
  SlowPool(const std::vector<IpAddress>& all, size_t limit) : limit_(limit) {
    for (const auto& a : all) rows_[a];
  }
  bool reserve(IpAddress a) {
    Row& r = rows_[a];
    if (r.reserved) return false;
    r.reserved = true;
    r.client.clear();
    return true;
  }
  void unreserve(IpAddress a) { rows_[a].reserved = false; }
  bool take(IpAddress a, bool fixed) {
    Row& r = rows_[a];
    if (r.used || (r.reserved && !fixed)) return false;
    r.used = true;
    r.client.clear();
    return true;
  }
  std::optional<IpAddress> take_remembered(const std::string& client) {
    const IpAddress* best = nullptr;
    for (auto& [a, r] : rows_)
      if (r.client == client && (!best || r.when > rows_[*best].when)) best = &a;
    return occupy(best);
  }
  std::optional<IpAddress> take_any() {
    for (auto& [a, r] : rows_)
      if (!r.used && !r.reserved && r.client.empty()) return occupy(&a);
    return occupy(oldest());
  }
  void give_back(IpAddress a, const std::string& client) {
    Row& r = rows_[a];
    if (!r.used) return;
    r.used = false;
    if (r.reserved || client.empty()) return;
    size_t remembered = 0;
    for (auto& [b, other] : rows_) remembered += !other.client.empty();
    if (remembered >= limit_) rows_[*oldest()].client.clear();
    r.client = client;
    r.when = ++now_;
  }
  void forget(const std::string& client) {
    for (auto& [a, r] : rows_)
      if (r.client == client) r.client.clear();
  }

 private:
  struct Row {
    bool used = false, reserved = false;
    std::string client;  // who had it last; only while free
    int when = 0;
  };
  const IpAddress* oldest() {
    const IpAddress* best = nullptr;
    for (auto& [a, r] : rows_)
      if (!r.client.empty() && (!best || r.when < rows_[*best].when)) best = &a;
    return best;
  }
  std::optional<IpAddress> occupy(const IpAddress* a) {
    if (!a) return std::nullopt;
    rows_[*a].used = true;
    rows_[*a].client.clear();
    return *a;
  }
  std::map<IpAddress, Row> rows_;
  size_t limit_;
  int now_ = 0;
};

void compare_with_slow_pool(const std::string& subnet, unsigned seed) {
  constexpr size_t kRemembered = 8;
  SubnetPool fast = pool_of(subnet, kRemembered);
  std::vector<IpAddress> all;
  for (uint64_t i = 0; i < 32; ++i)
    if (auto a = Cidr::parse(subnet)->base.plus(i); fast.assignable(a)) all.push_back(a);
  SlowPool slow(all, kRemembered);
  std::mt19937 random(seed);
  for (int step = 0; step < 20000; ++step) {
    const IpAddress a = all[random() % all.size()];
    const std::string client = random() % 8 == 0 ? "" : "c" + std::to_string(random() % 12);
    SCOPED_TRACE(step);
    switch (random() % 9) {
      case 0:
        ASSERT_EQ(fast.take(a), slow.take(a, false));
        break;
      case 1:
        ASSERT_EQ(fast.take(a, true), slow.take(a, true));
        break;
      case 2:
        if (!client.empty()) {
          ASSERT_EQ(fast.take_remembered(client), slow.take_remembered(client));
        }
        break;
      case 3:
        ASSERT_EQ(fast.take_any(), slow.take_any());
        break;
      case 4:
        if (random() % 3 == 0) {
          ASSERT_EQ(fast.reserve(a), slow.reserve(a));
        }
        break;
      case 5:
        fast.unreserve(a);
        slow.unreserve(a);
        break;
      case 6:
        if (random() % 10 == 0 && !client.empty()) {
          fast.forget(client);
          slow.forget(client);
        }
        break;
      default:
        fast.give_back(a, client);
        slow.give_back(a, client);
    }
  }
}

TEST(SubnetPool, DoesWhatTheObviousVersionDoes) {
  for (unsigned seed = 0; seed < 4; ++seed) {
    compare_with_slow_pool("10.8.0.0/27", seed);
    compare_with_slow_pool("fd00:8::/123", seed);
  }
}

}  // namespace
}  // namespace smartvpn::registry
