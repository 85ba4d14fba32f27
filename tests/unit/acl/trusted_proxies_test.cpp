#include "acl/trusted_proxies.hpp"

#include <gtest/gtest.h>

namespace smartvpn::acl {
namespace {

using List = std::vector<std::string>;
constexpr const char* kPath = "/listen/0/proxy_protocol/trusted_proxies";

Result<TrustedProxies> compile(const List& entries) { return TrustedProxies::compile(entries, kPath); }
bool trusts(const List& entries, const char* peer) { return compile(entries)->contains(*inet::IpAddress::parse(peer)); }

TEST(TrustedProxies, TrustsWhatIsListedAndNobodyElse) {
  List list{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"};
  for (auto peer : {"10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.1.2.3"}) EXPECT_TRUE(trusts(list, peer)) << peer;
  for (auto peer : {"11.0.0.0", "192.0.2.8", "2001:db9::", "::1"}) EXPECT_FALSE(trusts(list, peer)) << peer;
  EXPECT_FALSE(compile(list)->contains(inet::IpAddress()));
  EXPECT_FALSE(TrustedProxies().contains(*inet::IpAddress::parse("10.0.0.1")));
}

TEST(TrustedProxies, MappedPrefixesAreIpv4) {
  EXPECT_TRUE(trusts({"::ffff:10.0.0.0/104"}, "10.9.9.9"));
  EXPECT_FALSE(trusts({"::ffff:10.0.0.0/104"}, "11.9.9.9"));
}

TEST(TrustedProxies, EmptyListIsAnError) {
  auto none = compile({});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().status, Status::INVALID);
  EXPECT_EQ(none.error().path, kPath);
}

TEST(TrustedProxies, OnlyAddressesAndPrefixesAreEntries) {
  for (auto entry : {"*", "10.*.*.*", "10.0.0.1-10.0.0.2", "", "proxy.example", "10.0.0.0/33", "::ffff:10.0.0.0/95"}) {
    auto bad = compile({"10.0.0.1", entry});
    ASSERT_FALSE(bad.ok()) << entry;
    EXPECT_EQ(bad.error().path, std::string(kPath) + "/1");
  }
}

TEST(TrustedProxies, HalfOfAFamilyIsTooMuch) {
  for (const List& list : {List{"0.0.0.0/0"}, List{"0.0.0.0/1"}, List{"128.0.0.0/1"}, List{"::/0"}, List{"8000::/1"},
                           List{"::ffff:0.0.0.0/96"}, List{"0.0.0.0/2", "64.0.0.0/2"}, List{"0.0.0.0/2", "192.0.0.0/2"},
                           List{"::/2", "4000::/2", "10.0.0.0/8"}, List{"0.0.0.0/2", "64.0.0.0/3", "96.0.0.0/3"}}) {
    auto bad = compile(list);
    ASSERT_FALSE(bad.ok()) << list[0];
    EXPECT_EQ(bad.error().path, kPath);
  }
  EXPECT_TRUE(compile({"0.0.0.0/2"}).ok());
  EXPECT_TRUE(compile({"0.0.0.0/2", "0.0.0.0/2", "10.0.0.0/8"}).ok());  // counted once
  EXPECT_TRUE(compile({"0.0.0.0/2", "64.0.0.0/3", "96.0.0.0/4", "::/2"}).ok());
  EXPECT_TRUE(compile({"0.0.0.0/2", "::/2"}).ok());  // families are not added up
}

}  // namespace
}  // namespace smartvpn::acl
