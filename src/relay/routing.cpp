// See routing.hpp.
#include "relay/routing.hpp"

#include <algorithm>

namespace smartvpn::relay {
namespace {

bool same_targets(const TargetSet& set, const config::RelayActionConfig& action) {
  return set.balance == action.balance && set.targets == action.targets;
}

std::shared_ptr<RouteState> state_named(const Routing* routing, const std::string& name) {
  if (!routing) return nullptr;
  for (const auto& state : routing->routes)
    if (state->name == name) return state;
  return nullptr;
}

}  // namespace

void RateWindows::sample(Time now, const RelayCounters& counters) {
  connections.sample(now, counters.connections_total);
  bytes_in.sample(now, counters.bytes_in);
  bytes_out.sample(now, counters.bytes_out);
}

RelayRates RateWindows::rates() const {
  RelayRates out;
  for (size_t i = 0; i < RelayRates::kWindows.size(); ++i) {
    out.connections_per_second[i] = connections.per_second(RelayRates::kWindows[i]);
    out.bytes_in_per_second[i] = bytes_in.per_second(RelayRates::kWindows[i]);
    out.bytes_out_per_second[i] = bytes_out.per_second(RelayRates::kWindows[i]);
  }
  return out;
}

RoutingPtr Routing::make(PlanPtr plan, const Routing* before) {
  auto out = std::make_shared<Routing>();
  for (const Route& route : plan->routes.routes()) {
    auto state = state_named(before, route.config.name);
    if (!state) {
      state = std::make_shared<RouteState>();
      state->name = route.config.name;
    }
    if (!state->targets || !same_targets(*state->targets, route.config.action))
      state->targets = std::make_shared<TargetSet>(route.config.action);
    out->routes.push_back(std::move(state));
  }
  out->plan = std::move(plan);
  return out;
}

}  // namespace smartvpn::relay
