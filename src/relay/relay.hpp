// The layer-4 relay: a validated configuration becomes listeners and routes on one thread or several. Every member may
// be called from any thread. "Command" members wait for the workers, which never wait for anything but the network.
#pragma once

#include <memory>
#include <vector>

#include "config/relay_config.hpp"
#include "relay/connection_facts.hpp"
#include "relay/relay_stats.hpp"
#include "relay/vpn_door.hpp"
#include "telemetry/event_queue.hpp"

namespace smartvpn::relay {

struct BoundEndpoint {
  uint32_t listener = 0;  // index into the configuration's `listen`
  config::RelayProtocol protocol = config::RelayProtocol::tcp;
  inet::Endpoint address;  // the port the kernel gave, if the configuration said 0
};

class Relay {
 public:
  enum class State : int32_t { created = 0, running = 1, draining = 2, stopped = 3 };

  // INVALID with the path of what does not compile.
  static Result<std::unique_ptr<Relay>> create(const config::RelayConfig& config);
  ~Relay();  // stops at once

  // created -> running. On failure nothing is left behind and the state is stopped.
  Result<void> start();
  // -> draining -> stopped. No new connections; those that are there get up to `drain_ms` to end by themselves. All
  // callers wait for the same end, up to `timeout_ms` (-1 for ever): TIMEOUT (AGAIN for 0) means it goes on by itself.
  // OK when stopped already; a relay never started is then stopped.
  Result<void> stop(int32_t drain_ms, int32_t timeout_ms);
  State state() const;
  std::vector<BoundEndpoint> endpoints() const;

  Result<std::shared_ptr<telemetry::EventQueue>> subscribe(uint64_t type_mask, size_t capacity);

  // Command; BAD_STATE unless running or draining.
  Result<RelaySnapshot> stats();
  Result<std::vector<ConnectionInfo>> connections();  // by id
  Result<void> disconnect(uint64_t id);               // NOT_FOUND
  // Command; BAD_STATE unless running. New listeners are opened first, and nothing changes where one cannot be; then
  // listeners and routes that are no longer there take no more connections. Nobody's connection ends. `told` is for the
  // event.
  Result<void> reconfigure(const config::RelayConfig& next,
                           const std::vector<std::pair<std::string, std::string>>& told);

  // Any state. Where routes of type `vpn` lead from now on; empty: nowhere, and who takes such a route is refused.
  void set_vpn_door(VpnDoor door);
  // Command; BAD_STATE unless running. Reads certificate files again; connections keep what they began with.
  Result<void> reload_certificates();

  // In a forked child: closes descriptors, touches nothing shared. Only the destructor may follow.
  void abandon_after_fork() noexcept;

 private:
  class Impl;
  explicit Relay(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace smartvpn::relay
