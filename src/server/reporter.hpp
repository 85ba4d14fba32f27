// What the server says about itself: events for the host and the counters behind `stats`. Shard
// thread only; the event hub behind it takes it across threads. An event for which there is no memory
// is counted as lost and changes nothing else, so whoever ends something may report it.
#pragma once

#include <string>
#include <vector>

#include "server/session_table.hpp"
#include "server/shared_throttle.hpp"
#include "telemetry/event_hub.hpp"
#include "telemetry/stats.hpp"

namespace smartvpn::server {

enum class LogLevel { debug = 0, info = 1, warning = 2, error = 3 };

class Reporter {
 public:
  // Hub and throttle are those of all shards.
  Reporter(telemetry::EventHub& hub, SharedThrottle& throttle, size_t listeners)
      : hub_(hub), throttle_(throttle), scopes_(listeners) {}

  void listening(uint32_t listener, session::Transport transport, const inet::Endpoint& address) noexcept;
  void accepted(const session::Connection& connection) noexcept;
  // Refused, or ended before it became a session. Floods are reported by count.
  void rejected(const session::Connection& connection, Reason reason, const std::string& detail, Time now) noexcept;
  void session_up(const LiveSession& session) noexcept;
  // Never goes untold: without memory it is told later, by tick() or last_words(), and then without the detail.
  void session_down(std::unique_ptr<LiveSession> session, Reason reason, const std::string& detail, Time now) noexcept;
  void session_roamed(const LiveSession& session) noexcept;
  void health_changed(const LiveSession& session) noexcept;
  void client_changed(const std::string& client_id, const char* change, uint64_t revision) noexcept;
  void reconfigured(const std::vector<std::pair<std::string, std::string>>& changes) noexcept;
  void log(LogLevel level, const std::string& message) noexcept;

  // Reports rejection counts whose interval is over. Once a second is often enough.
  void tick(Time now) noexcept;
  // No tick follows: what is still to be told waits here for memory, for a second at most, and then counts as lost.
  void last_words() noexcept;

  telemetry::ScopeStats& scope(uint32_t listener) { return scopes_[listener]; }
  const std::vector<telemetry::ScopeStats>& scopes() const { return scopes_; }
  // What belongs to no session: packets of the engine that found none.
  telemetry::SessionCounters& unowned() { return unowned_; }

 private:
  template <class Fill>
  bool tell(telemetry::EventType type, Fill&& fill) noexcept;  // false: it counts as lost
  void tell_end(const LiveSession& session, const std::string& detail);
  bool tell_ends() noexcept;
  bool is_first(const session::Connection& connection, Reason reason, Time now) noexcept;

  telemetry::EventHub& hub_;
  SharedThrottle& throttle_;
  std::vector<telemetry::ScopeStats> scopes_;
  telemetry::SessionCounters unowned_;
  std::unique_ptr<LiveSession> untold_;  // sessions whose end is still to be told, the oldest first
};

}  // namespace smartvpn::server
