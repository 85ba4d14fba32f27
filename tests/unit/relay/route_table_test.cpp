// Which route is taken, held against a reading of the rules that compares every route with every other.
#include "relay/route_table.hpp"

#include <gtest/gtest.h>

#include <random>

#include "relay/domain_pattern.hpp"

namespace smartvpn::relay {
namespace {

using config::RelayRouteConfig;

RelayRouteConfig one(std::string name, std::vector<std::string> domains = {}, int32_t priority = 0) {
  RelayRouteConfig out;
  out.name = std::move(name);
  out.match.domains = std::move(domains);
  out.priority = priority;
  out.action.targets = {{"127.0.0.1", 1}};
  return out;
}

std::string taken(const RouteTable& table, std::string_view host, uint16_t port = 443, const char* from = nullptr,
                  uint16_t tls = 0) {
  std::optional<inet::IpAddress> client;
  if (from) client = inet::IpAddress::parse(from);
  const Route* route = table.match({port, host, &client, tls});
  return route ? route->config.name : "";
}

TEST(RouteTable, TheMostSpecificDomainForThisNameWins) {
  const auto table = *RouteTable::compile({one("any"), one("star", {"*"}), one("wide", {"*.example.com"}),
                                           one("narrow", {"*.b.example.com"}), one("exact", {"a.b.example.com"}),
                                           one("several", {"*.b.example.com", "c.example.com"})});
  EXPECT_EQ(taken(table, "a.b.example.com"), "exact");
  EXPECT_EQ(taken(table, "x.b.example.com"), "narrow") << "the first of two alike";
  EXPECT_EQ(taken(table, "c.example.com"), "several");
  EXPECT_EQ(taken(table, "d.example.com"), "wide");
  EXPECT_EQ(taken(table, "example.com"), "star");
  EXPECT_EQ(taken(table, "192.0.2.1"), "star");
  EXPECT_EQ(taken(table, ""), "any") << "an unknown name takes no route with domains";
}

TEST(RouteTable, PriorityIsLookedAtFirstAndWhatIsOffNever) {
  RelayRouteConfig off = one("off", {"a.test"}, 9);
  off.enabled = false;
  const auto table = *RouteTable::compile({one("exact", {"a.test"}), one("urgent", {"*"}, 1), off});
  EXPECT_EQ(taken(table, "a.test"), "urgent");
  EXPECT_EQ(taken(table, ""), "");
}

TEST(RouteTable, PortsAddressesAndVersionsNarrowARoute) {
  RelayRouteConfig port = one("port"), client = one("client"), tls = one("tls"), any = one("any");
  port.match.ports = {{80, 80}, {8000, 8010}};
  client.match.client_ip = {"198.51.100.0/24", "2001:db8::/32"};
  tls.match.tls_versions = {"TLSv1.2"};
  const auto table = *RouteTable::compile({any, port, tls, client});
  EXPECT_EQ(taken(table, "", 443), "any");
  EXPECT_EQ(taken(table, "", 8010), "port");
  EXPECT_EQ(taken(table, "", 8011), "any");
  EXPECT_EQ(taken(table, "", 80, "198.51.100.7"), "client");
  EXPECT_EQ(taken(table, "", 80, "::ffff:198.51.100.7"), "client");
  EXPECT_EQ(taken(table, "", 443, "2001:db8::7"), "client");
  EXPECT_EQ(taken(table, "", 443, nullptr, 0x0303), "tls");
  EXPECT_EQ(taken(table, "", 443, nullptr, 0x0304), "any");
}

TEST(RouteTable, WrongPartsAreToldWithTheirPath) {
  const auto domain = RouteTable::compile({one("a"), one("b", {"ok.test", "a.*.b"})});
  ASSERT_FALSE(domain);
  EXPECT_EQ(domain.error().path, "/routes/1/match/domains/1");
  RelayRouteConfig client = one("c");
  client.match.client_ip = {"198.51.100.300"};
  const auto address = RouteTable::compile({client});
  ASSERT_FALSE(address);
  EXPECT_EQ(address.error().path, "/routes/0/match/client_ip/0");
}

// By the words of the header, without an index.
class Oracle {
 public:
  explicit Oracle(std::vector<RelayRouteConfig> routes) : routes_(std::move(routes)) {}
  std::string taken(const std::string& host, uint16_t port, const inet::IpAddress& client, uint16_t tls) const {
    const RelayRouteConfig* best = nullptr;
    int64_t best_domain = 0;
    for (const auto& route : routes_) {
      const int64_t domain = fits(route, host, port, client, tls);
      if (domain < 0) continue;
      auto rank = [](const RelayRouteConfig& r, int64_t d) {
        return std::make_tuple(r.priority, d, !r.match.client_ip.empty(), !r.match.tls_versions.empty(),
                               !r.match.ports.empty());
      };
      if (best && !(rank(route, domain) > rank(*best, best_domain))) continue;
      best = &route;
      best_domain = domain;
    }
    return best ? best->name : "";
  }

 private:
  // The specificity of the domain that fits, from 1; 0: none is asked for; -1: it does not fit.
  static int64_t fits(const RelayRouteConfig& r, const std::string& host, uint16_t port, const inet::IpAddress& client,
                      uint16_t tls) {
    if (!r.enabled) return -1;
    bool ok = r.match.ports.empty();
    for (auto& range : r.match.ports) ok |= range.contains(port);
    if (!ok) return -1;
    ok = r.match.client_ip.empty();
    for (auto& text : r.match.client_ip) ok |= inet::Cidr::parse(text)->contains(client);
    if (!ok) return -1;
    ok = r.match.tls_versions.empty();
    for (auto& name : r.match.tls_versions) ok |= tls_version_number(name) == tls;
    if (!ok) return -1;
    if (r.match.domains.empty()) return 0;
    int64_t best = -1;
    for (auto& text : r.match.domains) {
      const auto pattern = *DomainPattern::parse(text, "");
      if (pattern.matches(host)) best = std::max<int64_t>(best, int64_t{pattern.specificity()} + 1);
    }
    return best;
  }
  std::vector<RelayRouteConfig> routes_;
};

TEST(RouteTable, AgreesWithTheRulesOnRandomRoutesAndConnections) {
  std::mt19937 random(7);
  auto chance = [&](unsigned n) { return random() % n == 0; };
  const std::vector<std::string> domains = {"a.test",     "b.a.test", "c.b.a.test", "*.a.test",
                                            "*.b.a.test", "*.test",   "*"};
  const std::vector<std::string> hosts = {"", "a.test", "b.a.test", "x.b.a.test", "c.b.a.test", "test", "x.test"};
  const std::vector<std::string> nets = {"10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"};
  const std::vector<std::string> clients = {"10.1.2.3", "10.2.2.3", "192.0.2.1", "2001:db8::1", "2001:db9::1"};
  for (int round = 0; round < 150; ++round) {
    std::vector<RelayRouteConfig> routes;
    for (unsigned i = 0, n = 1 + random() % 12; i < n; ++i) {
      RelayRouteConfig r = one("r" + std::to_string(i), {}, static_cast<int32_t>(random() % 3));
      r.enabled = !chance(8);
      while (chance(2)) r.match.domains.push_back(domains[random() % domains.size()]);
      if (chance(3)) r.match.ports = {{80, 90}};
      if (chance(3)) r.match.client_ip = {nets[random() % nets.size()]};
      if (chance(4)) r.match.tls_versions = {"TLSv1.3"};
      routes.push_back(std::move(r));
    }
    const auto table = *RouteTable::compile(routes);
    const Oracle oracle(routes);
    for (const auto& from : clients)
      for (const uint16_t port : {uint16_t{85}, uint16_t{443}}) {
        const auto client = *inet::IpAddress::parse(from);
        const std::string plain = oracle.taken("", port, client, 0);
        bool same = true;
        for (const auto& host : hosts)
          for (const uint16_t tls : {uint16_t{0}, uint16_t{0x0304}}) {
            const std::string wanted = oracle.taken(host, port, client, tls);
            ASSERT_EQ(taken(table, host, port, from.c_str(), tls), wanted) << host << ' ' << from << ' ' << port;
            same &= wanted == plain;
          }
        const std::optional<inet::IpAddress> known = client;
        if (!table.needs_first_bytes(port, known)) {
          EXPECT_TRUE(same) << "first bytes would have made a difference";
        }
      }
  }
}

}  // namespace
}  // namespace smartvpn::relay
