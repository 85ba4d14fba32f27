// What the workers of one relay share. Any thread.
#pragma once

#include <atomic>

#include "base/mutex.hpp"
#include "base/rng.hpp"
#include "relay/connection_limits.hpp"
#include "relay/udp_ports.hpp"
#include "relay/unique_id_table.hpp"
#include "relay/vpn_door.hpp"
#include "telemetry/event_hub.hpp"
#include "telemetry/rejection_throttle.hpp"

namespace smartvpn::relay {

struct SharedState {
  explicit SharedState(const config::RelayLimitsConfig& config) : limits(config, system_rng().u64()) {}

  telemetry::EventHub hub;
  ConnectionLimits limits;
  UniqueIdTable unique_ids;
  UdpPorts udp_ports;
  std::atomic<uint64_t> next_id{1};
  // Where routes to the VPN lead; empty: nowhere.
  VpnDoor vpn_door() const {
    MutexLock lock(door_mutex_);
    return door_;
  }
  void set_vpn_door(VpnDoor door) {
    MutexLock lock(door_mutex_);
    std::swap(door_, door);
  }
  Mutex throttle_mutex;
  telemetry::RejectionThrottle throttle GUARDED_BY(throttle_mutex);

 private:
  mutable Mutex door_mutex_;
  VpnDoor door_ GUARDED_BY(door_mutex_);
};

}  // namespace smartvpn::relay
