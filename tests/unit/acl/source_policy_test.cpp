#include "acl/source_policy.hpp"

#include <gtest/gtest.h>

namespace smartvpn::acl {
namespace {

using List = std::vector<std::string>;

Reason judge(const List& block, const List& allow, const char* ip, SourceReasons reasons = {}) {
  auto policy = SourcePolicy::compile(block, "/b", allow, "/a", reasons);
  EXPECT_TRUE(policy.ok());
  std::optional<inet::IpAddress> real;
  if (ip) real = inet::IpAddress::parse(ip);
  return policy->judge(real);
}

TEST(SourcePolicy, NoListsLetEverybodyIn) {
  for (auto ip : {"192.0.2.1", "2001:db8::1", static_cast<const char*>(nullptr)})
    EXPECT_EQ(judge({}, {}, ip), Reason::none);
  EXPECT_TRUE(SourcePolicy().unrestricted());
  EXPECT_EQ(SourcePolicy().judge(std::nullopt), Reason::none);
}

TEST(SourcePolicy, BlockListWinsOverAllowList) {
  EXPECT_EQ(judge({"192.0.2.0/24"}, {"192.0.2.1"}, "192.0.2.1"), Reason::client_ip_block_list);
  EXPECT_EQ(judge({"192.0.2.0/24"}, {}, "192.0.3.1"), Reason::none);
}

TEST(SourcePolicy, AllowListExcludesEverybodyElseOfEitherFamily) {
  EXPECT_EQ(judge({}, {"192.0.2.0/24"}, "192.0.2.1"), Reason::none);
  EXPECT_EQ(judge({}, {"192.0.2.0/24"}, "::ffff:192.0.2.1"), Reason::none);
  EXPECT_EQ(judge({}, {"192.0.2.0/24"}, "192.0.3.1"), Reason::client_ip_not_allowed);
  EXPECT_EQ(judge({}, {"192.0.2.0/24"}, "2001:db8::1"), Reason::client_ip_not_allowed);
  EXPECT_EQ(judge({"2001:db8::/32"}, {}, "2001:db8::1"), Reason::client_ip_block_list);
}

TEST(SourcePolicy, NoAddressIsInNoList) {
  EXPECT_EQ(judge({"*"}, {}, nullptr), Reason::none);
  EXPECT_EQ(judge({}, {"*"}, nullptr), Reason::client_ip_not_allowed);
}

TEST(SourcePolicy, PhaseOneHasItsOwnReason) {
  EXPECT_EQ(judge({"*"}, {}, "192.0.2.1", {Reason::ip_block_list, Reason::ip_block_list}), Reason::ip_block_list);
}

TEST(SourcePolicy, BadEntriesNameTheirList) {
  EXPECT_EQ(SourcePolicy::compile(List{"x"}, "/c/0/ip_block_list", List{}, "/c/0/ip_allow_list").error().path,
            "/c/0/ip_block_list/0");
  EXPECT_EQ(SourcePolicy::compile(List{"*"}, "/c/0/ip_block_list", List{"*", "y"}, "/c/0/ip_allow_list").error().path,
            "/c/0/ip_allow_list/1");
}

}  // namespace
}  // namespace smartvpn::acl
