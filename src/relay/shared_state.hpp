// What the workers of one relay share. Any thread.
#pragma once

#include <atomic>

#include "base/mutex.hpp"
#include "base/rng.hpp"
#include "relay/connection_limits.hpp"
#include "relay/unique_id_table.hpp"
#include "telemetry/event_hub.hpp"
#include "telemetry/rejection_throttle.hpp"

namespace smartvpn::relay {

struct SharedState {
  explicit SharedState(const config::RelayLimitsConfig& config) : limits(config, system_rng().u64()) {}

  telemetry::EventHub hub;
  ConnectionLimits limits;
  UniqueIdTable unique_ids;
  std::atomic<uint64_t> next_id{1};
  Mutex throttle_mutex;
  telemetry::RejectionThrottle throttle GUARDED_BY(throttle_mutex);
};

}  // namespace smartvpn::relay
