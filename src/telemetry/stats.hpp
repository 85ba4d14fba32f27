// A snapshot of everything counted, self-contained, and its two texts: JSON and the Prometheus
// exposition format. The server fills it; nothing here reads live state.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/reason.hpp"
#include "telemetry/counters.hpp"
#include "telemetry/link_quality.hpp"

namespace smartvpn::telemetry {

// X(name, prometheus type, prometheus name without prefix, help).
#define SMARTVPN_SCOPE_COUNTER_LIST(X)                                                                   \
  X(connections_total, "counter", "connections_total", "Connections accepted from the network")          \
  X(connections_open, "gauge", "connections_open", "Connections open now, with or without a session")    \
  X(handshakes_total, "counter", "handshakes_total", "Handshakes begun")                                 \
  X(handshakes_completed, "counter", "handshakes_completed_total", "Handshakes that ended in a session") \
  X(handshakes_in_progress, "gauge", "handshakes_in_progress", "Handshakes in progress now")             \
  X(rekeys_total, "counter", "rekeys_total", "Rekeys completed")                                         \
  X(sessions_total, "counter", "sessions_total", "Sessions since the start")                             \
  X(sessions_now, "gauge", "sessions", "Sessions live now")

// What is counted for the server, for each listener and for each transport alike.
struct ScopeStats {
#define X(name, type, metric, help) uint64_t name = 0;
  SMARTVPN_SCOPE_COUNTER_LIST(X)
#undef X
  std::array<uint64_t, kReasonCount> rejections{};      // connections refused, by Reason
  std::array<uint64_t, kReasonCount> sessions_ended{};  // by Reason
  SessionCounters traffic;                              // of sessions live and ended

  void reject(Reason why) noexcept { ++rejections[static_cast<size_t>(why)]; }
  void session_ended(Reason why) noexcept { ++sessions_ended[static_cast<size_t>(why)]; }
  uint64_t rejections_total() const noexcept;  // without Reason::none
  void add(const ScopeStats& other) noexcept;
};

struct ListenerStats {
  uint32_t listener = 0;  // index into the configuration's `listen`
  std::string transport;  // "websocket"
  std::string address;    // bound endpoint as text
  ScopeStats stats;
};

struct TransportStats {
  std::string transport;
  ScopeStats stats;
};

// Of one registered client, over all its sessions since the server's start.
struct ClientStats {
  std::string client_id;
  uint64_t sessions_now = 0;
  uint64_t sessions_total = 0;
  int64_t last_seen_ms = 0;  // wall clock; 0: never
  SessionCounters traffic;
  std::optional<LinkQuality> quality;  // of the live session with the longest RTT; absent without one

  std::string json() const;  // one line
};

constexpr size_t kHealthCount = 4;

struct StatsSnapshot {
  int64_t time_ms = 0;                                      // wall clock of the snapshot
  int64_t started_ms = 0;                                   // wall clock of the start
  uint64_t clients = 0;                                     // registered
  uint64_t memory_bytes = 0;                                // what limits.memory_bytes counts
  uint64_t memory_limit_bytes = 0;                          // 0: none
  uint64_t events_lost = 0;                                 // over all subscriptions
  uint64_t callback_exceptions = 0;                         // that left a callback of the host's
  std::array<uint64_t, kHealthCount> sessions_by_health{};  // live ones, by Health
  ScopeStats total;                                         // includes drops that belong to no session
  std::vector<ListenerStats> listeners;
  std::vector<TransportStats> transports;
  std::vector<ClientStats> by_client;  // with telemetry.client_label; those that ever had a session

  // One line. Rejections, ends and drops hold only the names that are not zero.
  std::string json() const;
  // Text format 0.0.4, names beginning with smartvpn_. Connection, session and traffic series are
  // labelled listener, transport and address; drops and ends are the server's. Zeroes are printed. What is
  // told by client (label client: as many values as there are registered ones) comes last.
  std::string prometheus() const;
};

}  // namespace smartvpn::telemetry
