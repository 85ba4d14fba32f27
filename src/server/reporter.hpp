// What the server says about itself: events for the host and the counters behind `stats`. Shard
// thread only; the event hub behind it takes it across threads.
#pragma once

#include <string>
#include <vector>

#include "telemetry/event_hub.hpp"
#include "server/session_table.hpp"
#include "telemetry/rejection_throttle.hpp"
#include "telemetry/stats.hpp"

namespace smartvpn::server {

enum class LogLevel { debug = 0, info = 1, warning = 2, error = 3 };

class Reporter {
 public:
  Reporter(telemetry::EventHub& hub, size_t listeners) : hub_(hub), scopes_(listeners) {}

  void listening(uint32_t listener, session::Transport transport, const inet::Endpoint& address);
  void accepted(const session::Connection& connection);
  // Refused, or ended before it became a session. Floods are reported by count.
  void rejected(const session::Connection& connection, Reason reason, const std::string& detail, Time now);
  void session_up(const LiveSession& session);
  void session_down(const LiveSession& session, Reason reason, const std::string& detail);
  void health_changed(const LiveSession& session);
  void client_changed(const std::string& client_id, const char* change);
  void log(LogLevel level, std::string message);

  // Reports rejection counts whose interval is over. Once a second is often enough.
  void tick(Time now);

  telemetry::ScopeStats& scope(uint32_t listener) { return scopes_[listener]; }
  const std::vector<telemetry::ScopeStats>& scopes() const { return scopes_; }
  // What belongs to no session: packets of the engine that found none.
  telemetry::SessionCounters& unowned() { return unowned_; }

 private:
  telemetry::EventHub& hub_;
  std::vector<telemetry::ScopeStats> scopes_;
  telemetry::SessionCounters unowned_;
  telemetry::RejectionThrottle throttle_;
};

}  // namespace smartvpn::server
