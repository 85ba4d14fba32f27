#include "relay/tls_ends.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

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

// Whom a Host could lead elsewhere, against every Host there is.
TEST_F(TlsEndsTest, WhereNothingIsWaitedForNoHostLeadsElsewhere) {
  std::mt19937 random(3);
  auto one_of = [&](uint32_t n) { return random() % n; };
  const std::vector<std::vector<std::string>> domains = {{}, {}, {"a.test"}, {"*.test"}, {"*"}, {"b.org", "x.a.test"}};
  const std::vector<std::vector<std::string>> protocols = {{}, {"http/1.1"}, {"h2", "http/1.1"}, {"h2"}};
  int waited = 0, led = 0, silent = 0;
  for (int round = 0; round < 200; ++round) {
    std::vector<config::RelayRouteConfig> routes(1 + one_of(5));
    for (auto& route : routes) {
      route.match.domains = domains[one_of(6)];
      route.priority = static_cast<int32_t>(one_of(2));
      if (one_of(4) == 0) route.match.ports = {{1, 1}};
      if (one_of(4) == 0) route.match.tls_versions = {"TLSv1.2"};
      route.action = one_of(4) == 0 ? config::RelayActionConfig() : ending_here();
      route.action.tls.alpn = protocols[one_of(4)];
    }
    const auto table = RouteTable::compile(routes);
    ASSERT_TRUE(table);
    for (const char* alpn : {"", "http/1.1", "h2"}) {
      RouteQuery query{443, {}, nullptr, 0x0304, config::RelayProtocol::tcp};
      const Route* chosen = table->match(query);
      if (!chosen || !chosen->tls) continue;
      const bool waits = table->host_may_lead_on(*chosen, query, alpn);
      bool leads = false;
      for (const char* host : {"a.test", "x.a.test", "c.test", "b.org", "d.org"}) {
        query.host = host;
        const Route& found = table->lead_on(*chosen, query, alpn);
        EXPECT_NE(found.tls, nullptr);
        if (&found == chosen) continue;
        leads = true;
        EXPECT_EQ(&found, table->match(query)) << "nothing but what the name in a ClientHello leads to";
        const auto& known = found.config.action.tls.alpn;
        EXPECT_TRUE(*alpn == '\0' || std::find(known.begin(), known.end(), alpn) != known.end());
      }
      if (std::string_view(alpn) == "h2") {
        EXPECT_FALSE(waits);
        continue;
      }
      EXPECT_TRUE(waits || !leads) << round;
      waited += waits;
      led += leads;
      silent += !waits;
    }
  }
  EXPECT_GT(led, 20);
  EXPECT_GT(silent, 20);
  EXPECT_LE(waited - led, waited / 4)
      << "for nothing only where a route without TLS is before the one that was hoped for";
}

TEST_F(TlsEndsTest, ADomainThatTheHelloHasNamedBinds) {
  config::RelayRouteConfig named, plain;
  named.match.domains = {"a.test"};
  named.action = plain.action = ending_here();
  auto other = named;
  other.match.domains = {"b.test"};
  const auto table = RouteTable::compile({named, plain, other});
  ASSERT_TRUE(table);
  for (const char* host : {"a.test", "b.test", "c.test", ""}) {
    const RouteQuery query{443, host, nullptr, 0x0304, config::RelayProtocol::tcp};
    const Route* chosen = table->match(query);
    ASSERT_TRUE(chosen);
    EXPECT_EQ(table->host_may_lead_on(*chosen, query, ""), chosen->index == 1) << host;
  }
}

}  // namespace
}  // namespace smartvpn::relay
