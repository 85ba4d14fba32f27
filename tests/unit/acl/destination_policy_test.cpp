#include "acl/destination_policy.hpp"

#include <gtest/gtest.h>

#include "support/inner_packets.hpp"

namespace smartvpn::acl {
namespace {

using List = std::vector<std::string>;

DestinationPolicy policy(const List& block, const List& allow) {
  auto compiled = DestinationPolicy::compile(block, "/b", allow, "/a");
  EXPECT_TRUE(compiled.ok());
  return *compiled;
}
bool allows(const List& block, const List& allow, const char* ip, const std::vector<inet::Cidr>& nat64 = {}) {
  return policy(block, allow).allows(*inet::IpAddress::parse(ip), nat64);
}

TEST(DestinationPolicy, WithoutListsEverythingIsAllowed) {
  EXPECT_TRUE(DestinationPolicy().unrestricted());
  EXPECT_TRUE(allows({}, {}, "192.0.2.1"));
  EXPECT_TRUE(allows({}, {}, "2001:db8::1"));
}

TEST(DestinationPolicy, TheBlockListWinsAndAnAllowListExcludesTheRestOfBothFamilies) {
  EXPECT_FALSE(allows({"192.0.2.0/24"}, {"192.0.2.1"}, "192.0.2.1"));
  EXPECT_TRUE(allows({"192.0.2.0/24"}, {}, "192.0.3.1"));
  EXPECT_TRUE(allows({}, {"192.0.2.0/24"}, "192.0.2.1"));
  EXPECT_TRUE(allows({}, {"192.0.2.0/24"}, "::ffff:192.0.2.1"));
  EXPECT_FALSE(allows({}, {"192.0.2.0/24"}, "2001:db8::1"));
  EXPECT_FALSE(allows({}, {"2001:db8::/32"}, "192.0.2.1"));
}

TEST(DestinationPolicy, SeesTheIpv4InsideNat64And6to4AndTeredo) {
  const List block = {"10.0.0.0/8"};
  EXPECT_FALSE(allows(block, {}, "64:ff9b::10.1.2.3"));
  EXPECT_FALSE(allows(block, {}, "2002:0a01:0203::1"));
  EXPECT_FALSE(allows(block, {}, "2001:0:c000:0201:0:0:f5fe:fdfc"));  // client 10.1.2.3
  EXPECT_FALSE(allows(block, {}, "2001:0:0a01:0203:0:0:3fff:fdfe"));  // server 10.1.2.3
  EXPECT_TRUE(allows(block, {}, "64:ff9b::192.0.2.1"));
  EXPECT_FALSE(allows(block, {}, "2001:db8:64::10.1.2.3", {*inet::Cidr::parse("2001:db8:64::/96")}));
  EXPECT_TRUE(allows(block, {}, "2001:db8:64::10.1.2.3"));
}

TEST(DestinationPolicy, AnAllowEntryOfTheIpv4InsideOpensTheIpv6AddressAroundIt) {
  const List allow = {"10.0.0.0/8"};
  EXPECT_TRUE(allows({}, allow, "64:ff9b::10.1.2.3"));
  EXPECT_FALSE(allows({}, allow, "64:ff9b::192.0.2.1"));
  EXPECT_TRUE(allows({}, {"64:ff9b::/96"}, "64:ff9b::192.0.2.1"));
  // Teredo has two inside, and both must be.
  EXPECT_FALSE(allows({}, allow, "2001:0:c000:0201:0:0:f5fe:fdfc"));
  EXPECT_TRUE(allows({}, {"10.0.0.0/8", "192.0.2.0/24"}, "2001:0:c000:0201:0:0:f5fe:fdfc"));
}

TEST(DestinationPolicy, AnIcmpErrorAboutAnAllowedDestinationMayComeFromARouterThatIsNotBlocked) {
  inet::InnerPacket error;
  error.src = *inet::IpAddress::parse("198.51.100.1");
  EXPECT_FALSE(policy({}, {"192.0.2.0/24"}).allows_from(error, {}));
  error.has_quote = true;
  error.quoted.dst = *inet::IpAddress::parse("192.0.2.1");
  EXPECT_TRUE(policy({}, {"192.0.2.0/24"}).allows_from(error, {}));
  EXPECT_FALSE(policy({"198.51.100.0/24"}, {"192.0.2.0/24"}).allows_from(error, {}));
  EXPECT_FALSE(policy({"192.0.2.1"}, {"192.0.2.0/24"}).allows_from(error, {}));
}

TEST(DestinationPolicy, AnErrorNamesTheEntry) {
  auto wrong = DestinationPolicy::compile(List{"10.0.0.0/8", "nowhere"}, "/b", List{}, "/a");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().path, "/b/1");
  wrong = DestinationPolicy::compile(List{}, "/b", List{"10.0.0.0/33"}, "/a");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().path, "/a/0");
}

}  // namespace
}  // namespace smartvpn::acl
