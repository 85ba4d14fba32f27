// Which route is taken: rule by rule, and against a matcher that tries every route and every domain.
#include "relay/route_table.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <tuple>

#include "relay/client_hello.hpp"

namespace smartvpn::relay {
namespace {

using TableRoutes = std::vector<config::RelayRouteConfig>;

config::RelayRouteConfig table_route(config::RelayMatchConfig match = {}, int32_t priority = 0) {
  config::RelayRouteConfig out;
  out.priority = priority;
  out.match = std::move(match);
  return out;
}
config::RelayRouteConfig domain_route(std::vector<std::string> domains, int32_t priority = 0) {
  config::RelayMatchConfig match;
  match.domains = std::move(domains);
  return table_route(std::move(match), priority);
}
RouteTable table_of(const TableRoutes& routes) {
  auto made = RouteTable::compile(routes);
  if (!made) {
    ADD_FAILURE() << made.error().path << ": " << made.error().text;
    return {};
  }
  return std::move(*made);
}

struct Asked {
  std::string host;
  uint16_t port = 443;
  std::optional<inet::IpAddress> client;
  uint16_t tls = 0;
};
// The index of the route; -1 for none.
int taken(const RouteTable& table, const Asked& asked) {
  const Route* route = table.match({asked.port, asked.host, &asked.client, asked.tls});
  return route ? static_cast<int>(route->index) : -1;
}
int taken(const RouteTable& table, std::string host) { return taken(table, Asked{std::move(host), 443, {}, 0}); }

std::optional<inet::IpAddress> real_ip(const char* text) { return inet::IpAddress::parse(text); }

std::string bad_path(const TableRoutes& routes) {
  auto made = RouteTable::compile(routes);
  if (made) return "OK";
  EXPECT_EQ(made.error().status, Status::INVALID);
  return made.error().path;
}

TEST(RouteTable, WithoutRoutesNobodyIsTaken) {
  const RouteTable table = table_of({});
  EXPECT_EQ(taken(table, "a.test"), -1);
  EXPECT_EQ(taken(table, ""), -1);
  EXPECT_FALSE(table.needs_first_bytes(443, real_ip("192.0.2.1")));
  EXPECT_EQ(RouteTable().match({}), nullptr);
}

TEST(RouteTable, PriorityComesBeforeEverything) {
  auto exact = domain_route({"a.test"});
  exact.match.client_ip = {"192.0.2.1"};
  const RouteTable table = table_of({exact, domain_route({"*"}, 1), table_route({}, -1)});
  EXPECT_EQ(taken(table, {"a.test", 443, real_ip("192.0.2.1"), 0}), 1);
  EXPECT_EQ(taken(table, ""), 2);
  const RouteTable extremes =
      table_of({table_route({}, INT32_MIN), domain_route({"a.test"}, INT32_MIN), table_route({}, INT32_MAX)});
  EXPECT_EQ(taken(extremes, "a.test"), 2);
  const RouteTable low = table_of({table_route({}, INT32_MIN), domain_route({"a.test"}, INT32_MIN + 1)});
  EXPECT_EQ(taken(low, "a.test"), 1);
  EXPECT_EQ(taken(low, "b.test"), 0);
}

TEST(RouteTable, TheMostSpecificDomainForThisNameAndNotARoutesBest) {
  const RouteTable table =
      table_of({domain_route({"*", "exact.org"}), domain_route({"*.com"}), domain_route({"*.example.com", "*.net"}),
                domain_route({"a.example.com", "*.b.net"}), table_route()});
  EXPECT_EQ(taken(table, "a.example.com"), 3);
  EXPECT_EQ(taken(table, "x.a.example.com"), 2);
  EXPECT_EQ(taken(table, "b.example.com"), 2);
  EXPECT_EQ(taken(table, "example.com"), 1);
  EXPECT_EQ(taken(table, "com"), 0);
  EXPECT_EQ(taken(table, "exact.org"), 0);
  EXPECT_EQ(taken(table, "b.net"), 2);
  EXPECT_EQ(taken(table, "c.b.net"), 3);
  EXPECT_EQ(taken(table, "192.0.2.1"), 0);
  EXPECT_EQ(taken(table, "2001:db8::1"), 0);
  EXPECT_EQ(taken(table, ""), 4);
}

TEST(RouteTable, ALongerWildcardIsNotAnExactName) {
  const std::string deep = std::string(63, 'd') + "." + std::string(63, 'e') + ".test";
  const RouteTable table = table_of({domain_route({"*." + deep}), domain_route({"x." + deep})});
  EXPECT_EQ(taken(table, "x." + deep), 1);
  EXPECT_EQ(taken(table, "y." + deep), 0);
  EXPECT_EQ(taken(table, "y.x." + deep), 0);
  EXPECT_EQ(taken(table, deep), -1);
  EXPECT_EQ(taken(table, "x" + deep), -1) << "a wildcard begins at a dot";
}

TEST(RouteTable, SpellingOfADomainDoesNotCount) {
  const RouteTable table = table_of({domain_route({"A.Test.", "*.B.TEST."})});
  EXPECT_EQ(taken(table, "a.test"), 0);
  EXPECT_EQ(taken(table, "x.b.test"), 0);
}

TEST(RouteTable, ThenClientAddressThenTlsThenPorts) {
  // Route n has what the bits of `masks[n]` say; the more significant the bit, the more it counts.
  std::vector<unsigned> masks{0, 1, 2, 3, 4, 5, 6, 7};
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    std::shuffle(masks.begin(), masks.end(), random);
    TableRoutes routes;
    for (unsigned mask : masks) {
      routes.push_back(domain_route({"*.test"}));
      auto& match = routes.back().match;
      if ((mask & 4) != 0) match.client_ip = {"192.0.2.0/24"};
      if ((mask & 2) != 0) match.tls_versions = {"TLSv1.3"};
      if ((mask & 1) != 0) match.ports = {{443, 443}};
    }
    for (int expected = 7; expected >= 0; --expected) {
      const int got = taken(table_of(routes), {"a.test", 443, real_ip("192.0.2.9"), kTls13});
      ASSERT_GE(got, 0);
      EXPECT_EQ(masks[static_cast<size_t>(got)], static_cast<unsigned>(expected));
      routes[static_cast<size_t>(got)].enabled = false;
    }
  }
}

TEST(RouteTable, AmongEqualsTheFirstWritten) {
  TableRoutes routes{domain_route({"b.test", "a.test"}), domain_route({"a.test", "b.test"}), table_route(),
                     table_route()};
  EXPECT_EQ(taken(table_of(routes), "a.test"), 0);
  EXPECT_EQ(taken(table_of(routes), "b.test"), 0);
  EXPECT_EQ(taken(table_of(routes), ""), 2);
  routes[0].enabled = routes[2].enabled = false;
  EXPECT_EQ(taken(table_of(routes), "a.test"), 1);
  EXPECT_EQ(taken(table_of(routes), ""), 3);
}

TEST(RouteTable, ARouteWithDomainsNeverTakesAnUnknownName) {
  const RouteTable table = table_of({domain_route({"*", "a.test", "*.test"}, 1000)});
  EXPECT_EQ(taken(table, ""), -1);
  EXPECT_EQ(taken(table, {"", 443, real_ip("192.0.2.1"), kTls13}), -1);
  EXPECT_EQ(taken(table, "a"), 0);
}

TEST(RouteTable, DisabledRoutesKeepTheirPlaceAndTakeNobody) {
  TableRoutes routes{domain_route({"a.test"}, 5), table_route()};
  routes[0].enabled = false;
  const RouteTable table = table_of(routes);
  EXPECT_EQ(taken(table, "a.test"), 1);
  ASSERT_EQ(table.routes().size(), 2u);
  EXPECT_EQ(table.routes()[0].index, 0u);
  EXPECT_EQ(table.routes()[1].index, 1u);
  EXPECT_FALSE(table.needs_first_bytes(443, {}));
  routes[0].match.domains = {"bad name"};
  EXPECT_EQ(bad_path(routes), "/routes/0/match/domains/0") << "what is wrong is said before it is enabled";
}

TEST(RouteTable, PortsAreRangesWithBothEnds) {
  TableRoutes routes{table_route()};
  routes[0].match.ports = {{80, 90}, {443, 443}, {65535, 65535}};
  const RouteTable table = table_of(routes);
  for (uint16_t port : std::to_array<uint16_t>({80, 85, 90, 443, 65535}))
    EXPECT_EQ(taken(table, {"", port, {}, 0}), 0) << port;
  for (uint16_t port : std::to_array<uint16_t>({0, 79, 91, 442, 444, 65534}))
    EXPECT_EQ(taken(table, {"", port, {}, 0}), -1) << port;
}

TEST(RouteTable, ClientAddressesOfBothFamilies) {
  TableRoutes routes{table_route()};
  routes[0].match.client_ip = {"::ffff:192.0.2.7", "2001:db8::/32", "10.0.0.5-10.0.0.9", "10.1.*.1"};
  const RouteTable table = table_of(routes);
  for (const char* in : {"192.0.2.7", "::ffff:192.0.2.7", "2001:db8:ffff::1", "10.0.0.5", "10.0.0.9", "10.1.200.1"})
    EXPECT_EQ(taken(table, {"", 443, real_ip(in), 0}), 0) << in;
  for (const char* out : {"192.0.2.8", "2001:db9::", "10.0.0.4", "10.0.0.10", "10.1.1.2", "::192.0.2.7"})
    EXPECT_EQ(taken(table, {"", 443, real_ip(out), 0}), -1) << out;
  EXPECT_EQ(taken(table, {"", 443, std::nullopt, 0}), -1) << "a client without an address is in no list";
  EXPECT_EQ(table.match({443, "", nullptr, 0}), nullptr);
  EXPECT_FALSE(table.needs_first_bytes(443, {}));
}

TEST(RouteTable, TlsIsTheNewestVersionThatIsOffered) {
  TableRoutes routes{table_route(), table_route()};
  routes[0].match.tls_versions = {"TLSv1.2", "TLSv1.0"};
  const RouteTable table = table_of(routes);
  for (uint16_t version : std::to_array<uint16_t>({0x0301, 0x0303}))
    EXPECT_EQ(taken(table, {"", 443, {}, version}), 0) << version;
  for (uint16_t version : std::to_array<uint16_t>({0, 0x0300, 0x0302, 0x0304, 0x0305}))
    EXPECT_EQ(taken(table, {"", 443, {}, version}), 1);
}

TEST(RouteTable, NamesOfVersions) {
  EXPECT_EQ(tls_version_number("TLSv1.0"), 0x0301);
  EXPECT_EQ(tls_version_number("TLSv1.1"), 0x0302);
  EXPECT_EQ(tls_version_number("TLSv1.2"), kTls12);
  EXPECT_EQ(tls_version_number("TLSv1.3"), kTls13);
  for (std::string_view name : {"", "TLSv1.", "TLSv1.4", "TLSv1.9", "TLSv1./", "TLSv1.-", "TLSv1.30", "tlsv1.2",
                                "SSLv3", "TLSv2.0", "XTLSv1.2", "TLSv1.2 "})
    EXPECT_EQ(tls_version_number(name), 0) << name;
}

TEST(RouteTable, NamesOfManyLabelsFindTheNearestParent) {
  std::string name = "a";
  while (name.size() < 253) name += ".a";  // 127 labels
  ASSERT_EQ(name.size(), 253u);
  TableRoutes routes;
  for (size_t size = 1; size < name.size(); size += 2) routes.push_back(domain_route({"*." + name.substr(0, size)}));
  EXPECT_EQ(taken(table_of(routes), name), static_cast<int>(routes.size() - 1));
  EXPECT_EQ(taken(table_of(routes), "b." + name.substr(2)), static_cast<int>(routes.size() - 1));
  routes.push_back(domain_route({name}));
  EXPECT_EQ(taken(table_of(routes), name), static_cast<int>(routes.size() - 1));
  while (routes.size() > 1) {
    routes.pop_back();
    ASSERT_EQ(taken(table_of(routes), name), static_cast<int>(routes.size() - 1));
    routes.resize(routes.size() - std::min<size_t>(routes.size() - 1, 20));
  }
}

// No such name comes out of normalise_host; a reader of texts is none the less within its bounds.
TEST(RouteTable, WhatIsLongerThanAnyNameIsLookedUpWithinBounds) {
  const RouteTable table = table_of({domain_route({"*.com"}), domain_route({"*"})});
  for (const std::string& host : {std::string(5000, '.'), std::string(300, 'x'), std::string("."), std::string("..")})
    EXPECT_EQ(taken(table, host), 1);
  std::string labels;
  for (int i = 0; i < 2000; ++i) labels += "l.";
  EXPECT_EQ(taken(table, labels + "com"), 0);
}

TEST(RouteTable, ErrorsNameTheirPath) {
  auto good = domain_route({"a.test", "*.b.test", "*"});
  good.match.client_ip = {"192.0.2.0/24", "*"};
  for (const char* domain :
       {"", ".", "*.", "a..b", "*a.test", "a.*", "192.0.2.1", "::1", "a b", "*.*.test", "-\xc3\xa9"})
    EXPECT_EQ(bad_path({good, domain_route({"ok.test", domain})}), "/routes/1/match/domains/1") << domain;
  for (const char* address : {"", "192.0.2", "192.0.2.1/33", "10.0.0.9-10.0.0.5", "a.test", "10.0.0.1-::1", "*.*"}) {
    auto bad = good;
    bad.match.client_ip.push_back(address);
    EXPECT_EQ(bad_path({good, good, bad}), "/routes/2/match/client_ip/2") << address;
  }
}

// What the header says, done the long way. Domains are in lower case, addresses are prefixes.
struct SlowMatcher {
  static int specificity(const std::string& pattern, const std::string& host) {
    if (host.empty()) return -1;
    if (pattern == "*") return 1;
    if (pattern[0] != '*') return pattern == host ? 10000 : -1;
    const std::string tail = pattern.substr(1);  // ".example.com"
    const bool below = host.size() > tail.size() && host.substr(host.size() - tail.size()) == tail;
    return below ? static_cast<int>(pattern.size()) : -1;
  }
  static bool fits(const config::RelayMatchConfig& match, const Asked& asked) {
    bool port = match.ports.empty(), ip = match.client_ip.empty(), tls = match.tls_versions.empty();
    for (const auto& range : match.ports) port = port || (asked.port >= range.from && asked.port <= range.to);
    for (const auto& text : match.client_ip)
      ip = ip || (asked.client && inet::Cidr::parse(text)->contains(*asked.client));
    for (const auto& name : match.tls_versions) tls = tls || (asked.tls == 0x0301 + (name.back() - '0'));
    return port && ip && tls;
  }
  static int taken(const TableRoutes& routes, const Asked& asked) {
    int best = -1;
    std::tuple<int, int, bool, bool, bool> best_rank;
    for (size_t i = 0; i < routes.size(); ++i) {
      const auto& match = routes[i].match;
      int domain = match.domains.empty() ? 0 : -1;
      for (const auto& pattern : match.domains) domain = std::max(domain, specificity(pattern, asked.host));
      if (!routes[i].enabled || domain < 0 || !fits(match, asked)) continue;
      const std::tuple rank{routes[i].priority, domain, !match.client_ip.empty(), !match.tls_versions.empty(),
                            !match.ports.empty()};
      if (best >= 0 && rank <= best_rank) continue;
      best = static_cast<int>(i);
      best_rank = rank;
    }
    return best;
  }
};

// Routes and questions from so small a world that they meet.
class SmallWorld {
 public:
  explicit SmallWorld(unsigned seed) : random_(seed) {}
  size_t below(size_t n) { return random_() % n; }
  template <class List>
  auto one_of(const List& list) {
    return list[below(std::size(list))];
  }
  std::string name(size_t most_labels) {
    std::string out = one_of(kLabels);
    for (size_t more = below(most_labels); more > 0; --more) out = std::string(one_of(kLabels)) + "." + out;
    return out;
  }
  std::string pattern() {
    if (below(6) == 0) return "*";
    return (below(2) == 0 ? "*." : "") + name(3);
  }
  config::RelayRouteConfig any_route() {
    auto out = table_route({}, static_cast<int32_t>(below(3)) - 1);
    out.enabled = below(8) != 0;
    auto& match = out.match;
    if (below(2) == 0)
      for (size_t n = below(3) + 1; n > 0; --n) match.domains.push_back(pattern());
    if (below(3) == 0)
      for (size_t n = below(2) + 1; n > 0; --n) match.client_ip.push_back(one_of(kNetworks));
    if (below(3) == 0)
      for (size_t n = below(2) + 1; n > 0; --n) match.tls_versions.push_back(one_of(kVersions));
    if (below(3) == 0) match.ports.push_back(below(2) == 0 ? config::PortRange{80, 443} : config::PortRange{443, 8443});
    return out;
  }
  TableRoutes any_routes(size_t count) {
    TableRoutes out;
    for (size_t i = 0; i < count; ++i) out.push_back(any_route());
    return out;
  }
  Asked any_question() { return {below(4) == 0 ? "" : name(5), one_of(kPorts), one_of(clients()), one_of(kOffers)}; }
  // Every name up to four labels, one of another world, and none.
  static std::vector<std::string> every_name() {
    std::vector<std::string> out{"", "z.y"};
    std::vector<std::string> longest{""};
    for (int labels = 1; labels <= 4; ++labels) {
      std::vector<std::string> next;
      for (const std::string& tail : longest)
        for (const char* label : kLabels) next.push_back(tail.empty() ? label : std::string(label) + "." + tail);
      out.insert(out.end(), next.begin(), next.end());
      longest = std::move(next);
    }
    return out;
  }
  static std::vector<std::optional<inet::IpAddress>> clients() {
    return {std::nullopt, real_ip("192.0.2.1"), real_ip("192.0.2.200"), real_ip("198.51.100.1"),
            real_ip("2001:db8::1")};
  }
  static constexpr const char* kLabels[] = {"a", "b"};
  static constexpr const char* kNetworks[] = {"192.0.2.0/25", "192.0.2.0/24", "2001:db8::/32", "::ffff:198.51.100.1"};
  static constexpr const char* kVersions[] = {"TLSv1.0", "TLSv1.2", "TLSv1.3"};
  static constexpr uint16_t kPorts[] = {79, 80, 443, 8443};
  static constexpr uint16_t kOffers[] = {0, 0x0300, 0x0301, 0x0303, 0x0304};

 private:
  std::mt19937 random_;
};

TEST(RouteTable, AgreesWithASlowMatcher) {
  SmallWorld world(7);
  int found = 0, missed = 0;
  for (int round = 0; round < 400; ++round) {
    const TableRoutes routes = world.any_routes(1 + world.below(12));
    const RouteTable table = table_of(routes);
    for (int i = 0; i < 60; ++i) {
      const Asked asked = world.any_question();
      const int expected = SlowMatcher::taken(routes, asked);
      ASSERT_EQ(taken(table, asked), expected) << round << ": " << asked.host << " " << asked.port << " " << asked.tls
                                               << " " << (asked.client ? asked.client->text() : "nobody");
      ++(expected >= 0 ? found : missed);
    }
  }
  EXPECT_GT(found, 5000);
  EXPECT_GT(missed, 1000);
}

TEST(RouteTable, AgreesWithASlowMatcherOverAThousandRoutes) {
  SmallWorld world(8);
  TableRoutes routes = world.any_routes(1000);
  // Many more names than the small world has.
  for (size_t i = 0; i < routes.size(); i += 2) {
    routes[i].priority = 0;
    routes[i].match.domains = {"h" + std::to_string(i) + ".test", "*.z" + std::to_string(i % 97) + ".test"};
  }
  const RouteTable table = table_of(routes);
  std::set<int> different;
  for (size_t i = 0; i < 3000; ++i) {
    Asked asked = world.any_question();
    if (i % 3 == 0) asked.host = "h" + std::to_string(i % 1000) + ".test";
    if (i % 3 == 1) asked.host = "x.z" + std::to_string(i % 97) + ".test";
    const int expected = SlowMatcher::taken(routes, asked);
    ASSERT_EQ(taken(table, asked), expected) << asked.host;
    different.insert(expected);
  }
  EXPECT_GT(different.size(), 20u);
}

TEST(RouteTable, FirstBytesAreNeededExactlyWhereTheyDecide) {
  SmallWorld world(9);
  const std::vector<std::string> names = SmallWorld::every_name();
  int needed = 0, idle = 0;
  for (int round = 0; round < 120; ++round) {
    const TableRoutes routes = world.any_routes(1 + world.below(6));
    const RouteTable table = table_of(routes);
    for (uint16_t port : std::to_array<uint16_t>({79, 443}))
      for (const auto& ip : SmallWorld::clients()) {
        std::set<int> answers;
        for (const std::string& name : names)
          for (uint16_t tls : SmallWorld::kOffers) answers.insert(SlowMatcher::taken(routes, {name, port, ip, tls}));
        ASSERT_EQ(table.needs_first_bytes(port, ip), answers.size() > 1) << round << " " << port;
        ++(answers.size() > 1 ? needed : idle);
      }
  }
  EXPECT_GT(needed, 200);
  EXPECT_GT(idle, 200);
}

}  // namespace
}  // namespace smartvpn::relay
