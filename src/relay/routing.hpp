// A worker's side of the routes: what lives as long as a route is configured, while plans come and go. Loop thread
// only; a connection keeps what it came in by.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "relay/balancer.hpp"
#include "relay/rate_window.hpp"
#include "relay/relay_plan.hpp"
#include "relay/relay_stats.hpp"

namespace smartvpn::relay {

// Targets and how they do; another one when the list or the way of choosing changes.
struct TargetSet {
  explicit TargetSet(const config::RelayActionConfig& action)
      : targets(action.targets), balance(action.balance), balancer(action.targets.size(), action.balance) {}
  const std::vector<config::RelayTargetConfig> targets;
  const config::RelayActionConfig::Balance balance;
  Balancer balancer;
};

// Windows over a pair of byte counts and one of connections.
struct RateWindows {
  RateWindow connections, bytes_in, bytes_out;
  void sample(Time now, const RelayCounters& counters);
  RelayRates rates() const;
};

struct RouteState {
  std::string name;
  RelayCounters counters;
  RateWindows windows;
  std::shared_ptr<TargetSet> targets;
};

struct Routing {
  PlanPtr plan;
  std::vector<std::shared_ptr<RouteState>> routes;  // by Route::index

  // Routes of the same name keep their counts, and their targets if those are the same.
  static std::shared_ptr<const Routing> make(PlanPtr plan, const Routing* before);
};
using RoutingPtr = std::shared_ptr<const Routing>;

}  // namespace smartvpn::relay
