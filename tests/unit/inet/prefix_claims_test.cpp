#include "inet/prefix_claims.hpp"

#include <gtest/gtest.h>

#include <random>

namespace smartvpn::inet {
namespace {

Cidr cidr(const std::string& text) { return *Cidr::parse(text); }

TEST(PrefixClaims, AnOwnersClaimsAreInNobodysWayButOthers) {
  PrefixClaims claims({cidr("10.8.0.0/24")});
  claims.add(cidr("192.168.0.0/16"), "a");
  EXPECT_TRUE(claims.check_subnet(cidr("192.168.7.0/24"), "a", false));
  EXPECT_EQ(claims.check_subnet(cidr("192.168.7.0/24"), "b", false).error().status, Status::EXISTS);
  claims.remove(cidr("192.168.0.0/16"), "b");
  EXPECT_FALSE(claims.check_subnet(cidr("192.168.7.0/24"), "b", false)) << "b cannot remove what is a's";
  claims.remove(cidr("192.168.0.0/16"), "a");
  EXPECT_TRUE(claims.check_subnet(cidr("192.168.7.0/24"), "b", false));
  EXPECT_EQ(claims.size(), 0u);
}

TEST(PrefixClaims, AnAddressIsTakenOnlyByTheSameAddress) {
  PrefixClaims claims;
  claims.add(cidr("192.168.7.0/24"), "a");
  claims.add(cidr("192.168.7.7/32"), "a");
  EXPECT_TRUE(claims.check_address(*IpAddress::parse("192.168.7.8"), "b"));
  EXPECT_FALSE(claims.check_address(*IpAddress::parse("192.168.7.7"), "b"));
  EXPECT_TRUE(claims.check_address(*IpAddress::parse("192.168.7.7"), "a"));
}

TEST(PrefixClaims, FindsOverlapsAsAPlainSearchDoes) {
  std::mt19937 random(7);
  auto prefix = [&](bool v6) {
    std::array<uint8_t, 16> bytes{};
    bytes[0] = v6 ? 0xfd : 100;
    bytes[1] = static_cast<uint8_t>(random() % 4);
    bytes[2] = static_cast<uint8_t>(random() % 4 * 64);
    const IpAddress ip = v6 ? IpAddress::v6(bytes) : IpAddress::v4(std::span<const uint8_t, 4>(bytes.data(), 4));
    const int length = 14 + static_cast<int>(random() % 8);
    return Cidr{ip.masked(length), static_cast<uint8_t>(length)};
  };
  int overlaps = 0;
  for (int round = 0; round < 300; ++round) {
    PrefixClaims claims;
    std::vector<Cidr> all;
    for (int i = 0; i < 4; ++i) {
      all.push_back(prefix(i % 2 == 0));
      claims.add(all.back(), "a");
    }
    const Cidr asked = prefix(round % 2 == 0);
    bool expected = false;
    for (const Cidr& other : all) expected |= other.overlaps(asked);
    overlaps += expected;
    EXPECT_EQ(!claims.check_subnet(asked, "b", false), expected) << asked.text();
  }
  EXPECT_GT(overlaps, 30);
  EXPECT_LT(overlaps, 270);
}

}  // namespace
}  // namespace smartvpn::inet
