// See balancer.hpp.
#include "relay/balancer.hpp"

#include <algorithm>

namespace smartvpn::relay {

Balancer::Balancer(size_t targets, config::RelayActionConfig::Balance balance)
    : states_(targets), least_connections_(balance == config::RelayActionConfig::Balance::least_connections) {}

// Of two, in the order in which it is their turn.
bool Balancer::better(size_t a, size_t b, Time now) const noexcept {
  const State &x = states_[a], &y = states_[b];
  const bool x_out = x.out_until > now, y_out = y.out_until > now;
  if (x_out != y_out) return !x_out;
  if (x_out) return x.out_until < y.out_until;
  return least_connections_ && x.open < y.open;
}

std::optional<size_t> Balancer::pick(Time now, uint64_t tried) noexcept {
  std::optional<size_t> best;
  for (size_t i = 0; i < states_.size(); ++i) {
    const size_t at = (next_ + i) % states_.size();
    if ((tried >> at & 1) != 0) continue;
    if (!best || better(at, *best, now)) best = at;
  }
  if (best) next_ = (*best + 1) % states_.size();
  return best;
}

bool Balancer::failed(size_t target, Time now) noexcept {
  State& state = states_[target];
  if (state.out_until > now) return false;
  const uint32_t doublings = std::min<uint32_t>(state.failures, 6);
  state.out_until = now + std::min(kFirstPause * (1u << doublings), kLongestPause);
  return state.failures++ == 0;
}

bool Balancer::succeeded(size_t target) noexcept {
  State& state = states_[target];
  const bool was_failing = state.failures != 0;
  state.failures = 0;
  state.out_until = Time{};
  return was_failing;
}

}  // namespace smartvpn::relay
