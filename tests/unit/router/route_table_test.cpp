#include "router/route_table.hpp"

#include <gtest/gtest.h>

#include "support/inet_packets.hpp"

namespace smartvpn::router {
namespace {

using namespace smartvpn::test;

constexpr uint64_t kAlice = 1, kBob = 2;

RouteTable table_with_network() {
  RouteTable table;
  table.set_network({{cidr("10.8.0.0/24"), cidr("fd00:8::/64")}, {ip("10.8.0.1"), ip("fd00:8::1")}, {ip("192.0.2.1")}});
  return table;
}

RouteKind kind(const RouteTable& table, const char* text) { return table.lookup(ip(text)).kind; }

TEST(RouteTable, KindsOfAddresses) {
  const RouteTable table = table_with_network();
  EXPECT_EQ(kind(table, "10.8.0.1"), RouteKind::gateway);
  EXPECT_EQ(kind(table, "fd00:8::1"), RouteKind::gateway);
  EXPECT_EQ(kind(table, "192.0.2.1"), RouteKind::host);
  EXPECT_EQ(kind(table, "10.8.0.77"), RouteKind::pool);
  EXPECT_EQ(kind(table, "fd00:8::77"), RouteKind::pool);
  EXPECT_EQ(kind(table, "10.8.0.0"), RouteKind::broadcast);
  EXPECT_EQ(kind(table, "10.8.0.255"), RouteKind::broadcast);
  EXPECT_EQ(kind(table, "10.8.1.0"), RouteKind::none);
  EXPECT_EQ(kind(table, "2001:db8::1"), RouteKind::none);
}

TEST(RouteTable, ARegisteredAddressStaysWhenItsSessionGoes) {
  RouteTable table = table_with_network();
  table.add_client(cidr("10.8.0.2"), kAlice);
  EXPECT_EQ(kind(table, "10.8.0.2"), RouteKind::client);
  EXPECT_EQ(table.session_of(ip("10.8.0.2")), 0u);
  EXPECT_EQ(table.attach(cidr("10.8.0.2"), 100, kAlice), 0u);
  EXPECT_TRUE(table.owns(100, ip("10.8.0.2")));
  table.detach(cidr("10.8.0.2"), 100);
  EXPECT_EQ(kind(table, "10.8.0.2"), RouteKind::client);
  EXPECT_FALSE(table.owns(100, ip("10.8.0.2")));
}

TEST(RouteTable, ALeaseGoesWithItsSession) {
  RouteTable table = table_with_network();
  table.attach(cidr("fd00:8::9"), 100, kAlice);
  EXPECT_EQ(table.lookup(ip("fd00:8::9")).client, kAlice);
  table.detach(cidr("fd00:8::9"), 100);
  EXPECT_EQ(kind(table, "fd00:8::9"), RouteKind::pool);
}

TEST(RouteTable, AnAddressBelongsToOneSessionAndALateDetachTakesNothing) {
  RouteTable table = table_with_network();
  table.attach(cidr("10.8.0.2"), 100, kAlice);
  EXPECT_EQ(table.attach(cidr("10.8.0.2"), 101, kAlice), 100u);
  table.detach(cidr("10.8.0.2"), 100);
  EXPECT_TRUE(table.owns(101, ip("10.8.0.2")));
}

TEST(RouteTable, RemovingARegistrationKeepsTheLiveSessionUntilItGoes) {
  RouteTable table = table_with_network();
  table.add_client(cidr("10.8.0.2"), kAlice);
  table.attach(cidr("10.8.0.2"), 100, kAlice);
  table.remove_client(cidr("10.8.0.2"), kBob);  // not his
  EXPECT_TRUE(table.lookup(ip("10.8.0.2")).registered);
  table.remove_client(cidr("10.8.0.2"), kAlice);
  EXPECT_TRUE(table.owns(100, ip("10.8.0.2")));
  table.detach(cidr("10.8.0.2"), 100);
  EXPECT_EQ(kind(table, "10.8.0.2"), RouteKind::pool);
}

TEST(RouteTable, TheMostSpecificEntryWins) {
  RouteTable table = table_with_network();
  table.add_client(cidr("10.0.0.0/8"), kAlice);  // wider than the pool
  table.attach(cidr("10.0.0.0/8"), 100, kAlice);
  table.attach(cidr("10.9.0.0/16"), 101, kBob);
  table.attach(cidr("10.9.9.9"), 102, kBob);
  EXPECT_EQ(table.session_of(ip("10.7.0.1")), 100u);
  EXPECT_EQ(table.session_of(ip("10.9.1.1")), 101u);
  EXPECT_EQ(table.session_of(ip("10.9.9.9")), 102u);
  EXPECT_EQ(kind(table, "10.8.0.9"), RouteKind::pool);
  EXPECT_EQ(kind(table, "10.8.0.1"), RouteKind::gateway);
}

TEST(RouteTable, ANewNetworkKeepsClients) {
  RouteTable table = table_with_network();
  table.attach(cidr("10.8.0.2"), 100, kAlice);
  table.set_network({{cidr("10.8.0.0/16")}, {ip("10.8.0.254")}, {}});
  EXPECT_TRUE(table.owns(100, ip("10.8.0.2")));
  EXPECT_EQ(kind(table, "10.8.0.1"), RouteKind::pool);
  EXPECT_EQ(kind(table, "10.8.0.254"), RouteKind::gateway);
  EXPECT_EQ(kind(table, "192.0.2.1"), RouteKind::none);
}

TEST(RouteTable, SessionZeroOwnsNothing) {
  RouteTable table = table_with_network();
  table.add_client(cidr("10.8.0.2"), kAlice);
  EXPECT_FALSE(table.owns(0, ip("10.8.0.2")));
  EXPECT_FALSE(table.owns(0, ip("8.8.8.8")));
}

TEST(RouteTable, TenThousandSessionsComeAndGo) {
  RouteTable table = table_with_network();
  const auto base4 = ip("10.64.0.0"), base6 = ip("fd00:8::1:0");
  auto address = [&](uint64_t i) { return inet::Cidr{(i % 2 ? base4 : base6).plus(i), uint8_t(i % 2 ? 32 : 128)}; };
  for (uint64_t i = 0; i < 10000; ++i) table.attach(address(i), i + 1, i + 1);
  EXPECT_EQ(table.size(), 10000u);
  for (uint64_t i = 0; i < 10000; ++i) ASSERT_TRUE(table.owns(i + 1, address(i).base));
  for (uint64_t i = 0; i < 10000; i += 2) table.detach(address(i), i + 1);
  for (uint64_t i = 0; i < 10000; ++i) ASSERT_EQ(table.owns(i + 1, address(i).base), i % 2 != 0);
}

}  // namespace
}  // namespace smartvpn::router
