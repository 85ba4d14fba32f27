#include "relay/tls_ends.hpp"

#include <gtest/gtest.h>

#include "relay/route_table.hpp"
#include "support/certificates.hpp"

namespace smartvpn::relay {
namespace {

using EndsMode = config::RelayTlsConfig::Mode;

struct TlsEndsTest : ::testing::Test {
  smartvpn::testing::Identity authority = smartvpn::testing::make_ca("test");
  smartvpn::testing::Identity a = smartvpn::testing::make_server(authority, {"a.test"}),
                              b = smartvpn::testing::make_server(authority, {"*.b.test"});
  config::RelayActionConfig ending_here(EndsMode mode = EndsMode::terminate) const {
    config::RelayActionConfig out;
    out.targets = {{"web.test", 443}, {"192.0.2.1", 443}};
    out.tls.mode = mode;
    out.tls.certificates = {{a.certificate, a.key}, {b.certificate, b.key}};
    return out;
  }
  static std::string said(const config::RelayActionConfig& action) {
    auto made = TlsEnds::make(action, "/routes/7/action/tls");
    return made ? "OK" : made.error().path;
  }
};

TEST_F(TlsEndsTest, ThereAreNoneWhereTlsPasses) {
  auto made = TlsEnds::make({}, "/routes/0/action/tls");
  ASSERT_TRUE(made);
  EXPECT_EQ(*made, nullptr);
}

TEST_F(TlsEndsTest, ErrorsNameTheKeyAtFault) {
  EXPECT_EQ(said(ending_here()), "OK");
  auto action = ending_here();
  action.tls.certificates[1].key = a.key;
  EXPECT_EQ(said(action), "/routes/7/action/tls/certificates/1/key");
  action = ending_here();
  action.tls.certificates[0].certificate = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n";
  EXPECT_EQ(said(action), "/routes/7/action/tls/certificates/0/certificate");
  action = ending_here();
  action.tls.certificates[1].certificate = "/nowhere/at/all.pem";
  EXPECT_EQ(said(action), "/routes/7/action/tls/certificates/1/certificate");
  action = ending_here(EndsMode::reencrypt);
  action.tls.target_ca = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n";
  EXPECT_EQ(said(action), "/routes/7/action/tls/target/ca");
}

TEST_F(TlsEndsTest, TheTargetIsSpokenToInTheClearUnlessItIsToBeTls) {
  auto action = ending_here();
  auto made = TlsEnds::make(action, "");
  ASSERT_TRUE(made);
  EXPECT_NE((*made)->towards_client("a.test"), nullptr);
  EXPECT_NE((*made)->towards_client(""), nullptr);
  auto plain = (*made)->towards_target(action.targets[0], "");
  ASSERT_TRUE(plain);
  EXPECT_EQ(*plain, nullptr);
}

TEST_F(TlsEndsTest, ForEachTargetAndProtocolThereIsAWay) {
  auto action = ending_here(EndsMode::reencrypt);
  action.tls.target_ca = authority.certificate;
  action.tls.alpn = {"h2", "http/1.1", "h2"};
  for (const char* name : {"", "other.test"}) {
    action.tls.target_name = name;
    auto made = TlsEnds::make(action, "");
    ASSERT_TRUE(made) << made.error().path << made.error().text;
    for (const auto& target : action.targets)
      for (const char* alpn : {"", "h2", "http/1.1"}) {
        auto machine = (*made)->towards_target(target, alpn);
        ASSERT_TRUE(machine);
        EXPECT_NE(*machine, nullptr) << target.host << " " << alpn;
      }
  }
}

TEST_F(TlsEndsTest, ARouteThatEndsTlsHasToHearTheHello) {
  config::RelayRouteConfig route;
  route.action = ending_here();
  auto table = RouteTable::compile({route});
  ASSERT_TRUE(table);
  EXPECT_NE(table->routes()[0].tls, nullptr);
  EXPECT_TRUE(table->needs_first_bytes(443, std::nullopt));
  // Not where another route goes before it, or it is not for this port.
  config::RelayRouteConfig first;
  first.priority = 1;
  first.match.ports = {{80, 80}};
  route.match.ports = {{80, 80}, {443, 443}};
  table = RouteTable::compile({route, first});
  ASSERT_TRUE(table);
  EXPECT_FALSE(table->needs_first_bytes(80, std::nullopt));
  EXPECT_TRUE(table->needs_first_bytes(443, std::nullopt));
  EXPECT_FALSE(table->needs_first_bytes(8080, std::nullopt));
  route.enabled = false;
  table = RouteTable::compile({route});
  ASSERT_TRUE(table);
  EXPECT_FALSE(table->needs_first_bytes(443, std::nullopt));
  route.action.tls.certificates[1].key = a.key;
  EXPECT_EQ(RouteTable::compile({first, route}).error().path, "/routes/1/action/tls/certificates/1/key");
}

}  // namespace
}  // namespace smartvpn::relay
