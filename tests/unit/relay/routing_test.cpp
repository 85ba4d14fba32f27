// What of the routes outlives a change of the configuration.
#include "relay/routing.hpp"

#include <gtest/gtest.h>

namespace smartvpn::relay {
namespace {

config::RelayRouteConfig named_route(const char* name,
                                     std::vector<config::RelayTargetConfig> targets = {{"a.test", 1}}) {
  config::RelayRouteConfig out;
  out.name = name;
  out.action.targets = std::move(targets);
  return out;
}
RoutingPtr routing_of(std::vector<config::RelayRouteConfig> routes, const Routing* before = nullptr) {
  config::RelayConfig config;
  config.listen.emplace_back();
  config.routes = std::move(routes);
  auto plan = RelayPlan::compile(config);
  EXPECT_TRUE(plan.ok());
  return Routing::make(*plan, before);
}

TEST(Routing, HasAStateForEachRouteInTheirOrder) {
  auto disabled = named_route("off");
  disabled.enabled = false;
  const RoutingPtr routing = routing_of({named_route("b"), disabled, named_route("a", {{"x", 1}, {"y", 2}})});
  ASSERT_EQ(routing->routes.size(), 3u);
  for (const Route& route : routing->plan->routes.routes())
    EXPECT_EQ(routing->routes[route.index]->name, route.config.name);
  EXPECT_EQ(routing->routes[2]->targets->targets, (std::vector<config::RelayTargetConfig>{{"x", 1}, {"y", 2}}));
}

TEST(Routing, ARouteOfTheSameNameKeepsItsCountsWhereverItStands) {
  const RoutingPtr before = routing_of({named_route("a"), named_route("b")});
  before->routes[0]->counters.bytes_in = 7;
  before->routes[1]->targets->balancer.failed(0, Time() + seconds(1));
  auto moved = named_route("b");
  moved.priority = 5;
  const RoutingPtr after = routing_of({named_route("new"), moved, named_route("a")}, before.get());
  EXPECT_EQ(after->routes[2], before->routes[0]);
  EXPECT_EQ(after->routes[1], before->routes[1]);
  EXPECT_EQ(after->routes[2]->counters.bytes_in, 7u);
  EXPECT_FALSE(after->routes[1]->targets->balancer.healthy(0)) << "what was met of a target is not forgotten";
  EXPECT_EQ(after->routes[0]->counters.bytes_in, 0u);
}

TEST(Routing, OtherTargetsAreAnotherSetAndConnectionsKeepTheirs) {
  const RoutingPtr before = routing_of({named_route("a", {{"x", 1}, {"y", 2}}), named_route("b")});
  before->routes[0]->counters.connections_total = 3;
  const std::shared_ptr<TargetSet> held = before->routes[0]->targets;
  held->balancer.opened(1);
  auto changed = [&](config::RelayRouteConfig route) {
    const RoutingPtr from = routing_of({named_route("a", {{"x", 1}, {"y", 2}})});
    const auto set = from->routes[0]->targets;
    return routing_of({std::move(route)}, from.get())->routes[0]->targets != set;
  };
  EXPECT_FALSE(changed(named_route("a", {{"x", 1}, {"y", 2}})));
  EXPECT_TRUE(changed(named_route("a", {{"y", 2}, {"x", 1}})));
  EXPECT_TRUE(changed(named_route("a", {{"x", 1}})));
  EXPECT_TRUE(changed(named_route("a", {{"x", 1}, {"y", 0}})));
  auto balanced = named_route("a", {{"x", 1}, {"y", 2}});
  balanced.action.balance = config::RelayActionConfig::Balance::least_connections;
  EXPECT_TRUE(changed(balanced));
  const RoutingPtr after = routing_of({named_route("a", {{"z", 9}})}, before.get());
  EXPECT_EQ(after->routes[0]->counters.connections_total, 3u) << "the counts are the route's";
  EXPECT_NE(after->routes[0]->targets, held);
  EXPECT_EQ(held->targets.size(), 2u);
  held->balancer.closed(1);
}

TEST(Routing, ARouteThatGoesAndComesBeginsAnew) {
  const RoutingPtr first = routing_of({named_route("a")});
  first->routes[0]->counters.bytes_out = 9;
  const RoutingPtr without = routing_of({named_route("b")}, first.get());
  const RoutingPtr again = routing_of({named_route("a")}, without.get());
  EXPECT_EQ(again->routes[0]->counters.bytes_out, 0u);
  EXPECT_NE(again->routes[0], first->routes[0]);
}

TEST(Routing, WindowsAreOverTheThreeCounts) {
  RateWindows windows;
  RelayCounters counters;
  for (unsigned i = 0; i < 20; ++i) {
    windows.sample(Time() + seconds(100 + i), counters);
    counters.connections_total += 2;
    counters.bytes_in += 300;
    counters.bytes_out += 40000;
    counters.connections_open += 1000;  // no growth of anybody's
  }
  const RelayRates rates = windows.rates();
  for (size_t i = 0; i < RelayRates::kWindows.size(); ++i) {
    EXPECT_EQ(rates.connections_per_second[i], 2);
    EXPECT_EQ(rates.bytes_in_per_second[i], 300);
    EXPECT_EQ(rates.bytes_out_per_second[i], 40000);
  }
}

}  // namespace
}  // namespace smartvpn::relay
