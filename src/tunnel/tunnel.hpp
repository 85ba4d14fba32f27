// The dialling end: connects to a server, carries packets between its engine and the session, and
// connects again when the connection is lost. The mirror image of `server::Server`: every public
// member may be called from any thread unless it says otherwise.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/reason.hpp"
#include "base/result.hpp"
#include "config/tunnel_config.hpp"
#include "forward/host/host_packet.hpp"
#include "inet/address.hpp"
#include "telemetry/counters.hpp"
#include "telemetry/event_queue.hpp"
#include "telemetry/link_quality.hpp"
#include "telemetry/stats.hpp"

namespace smartvpn::tunnel {

// waiting: for the moment of the next attempt.
enum class State : int32_t { created = 0, connecting = 1, connected = 2, waiting = 3, stopped = 4 };

struct TunnelInfo {
  State state = State::created;
  std::string server;                         // the configuration's URL
  std::optional<inet::Endpoint> server_addr;  // the socket's peer, once there was one
  std::vector<inet::IpAddress> addresses;     // ours inside; of the last session, empty before the first
  std::vector<inet::IpAddress> dns;
  std::vector<inet::Cidr> routes;
  std::optional<PublicKey> next_server_key;  // announced by the server
  uint16_t mtu = 0;                          // 0 before the first session
  std::string device;                        // "tun0", or empty
  int64_t since_ms = 0;                      // wall clock; of the present session, 0 without one
  uint64_t attempts = 0;                     // connections tried since start()
  Reason last_reason = Reason::none;         // why the last attempt or session ended
  std::string last_detail;                   // more about it, for a person
  telemetry::SessionCounters counters;       // over all sessions; "in" is from the server
  telemetry::LinkQuality quality;
};

class Tunnel {
 public:
  static Result<std::unique_ptr<Tunnel>> create(config::TunnelConfig config);
  // Stops at once if that is still to be done.
  ~Tunnel();

  // created -> connecting. Opens the engine; does not wait for the server. On failure nothing is left
  // behind and the state is stopped.
  Result<void> start();
  // -> stopped. All callers wait for the same end, up to `timeout_ms` (-1 for ever); TIMEOUT means it
  // goes on in the background. OK when stopped or never started.
  Result<void> stop(int32_t timeout_ms);
  State state() const;
  // REFUSED when the server refused for good and no attempt follows, CLOSED when stopped, BAD_STATE
  // before start(), else TIMEOUT (AGAIN for a timeout of 0).
  Result<void> wait_connected(int32_t timeout_ms);

  // Immediate.
  Result<std::shared_ptr<telemetry::EventQueue>> subscribe(uint64_t type_mask, size_t capacity);
  TunnelInfo info() const;
  // Command. The totals hold the tunnel's counters; listeners and transports stay empty.
  Result<telemetry::StatsSnapshot> stats();

  // The `host` engine; BAD_STATE with any other. As forward::HostChannel.
  Result<size_t> packets_read(ByteSpan arena, std::span<forward::HostPacket> meta, int32_t timeout_ms);
  Result<size_t> packets_write(ByteView arena, std::span<const forward::HostPacket> meta);
  Result<int> packets_fd() const;

  // In a forked child: closes descriptors, touches nothing shared.
  void abandon_after_fork() noexcept;

 private:
  class Impl;
  explicit Tunnel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace smartvpn::tunnel
