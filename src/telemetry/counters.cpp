// Sums over the traffic counters (see counters.hpp).
#include "telemetry/counters.hpp"

namespace smartvpn::telemetry {

uint64_t SessionCounters::drops_total() const noexcept {
  uint64_t sum = 0;
  for (size_t i = 1; i < drops.size(); ++i) sum += drops[i];
  return sum;
}

void SessionCounters::add(const SessionCounters& other) noexcept {
#define X(name, help) name += other.name;
  SMARTVPN_TRAFFIC_COUNTER_LIST(X)
#undef X
  for (size_t i = 0; i < drops.size(); ++i) drops[i] += other.drops[i];
}

}  // namespace smartvpn::telemetry
