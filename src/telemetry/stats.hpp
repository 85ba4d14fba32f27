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

// What of WireGuard's datagrams belongs to no session. X(name, help); the drops are a label of one metric.
#define SMARTVPN_WIREGUARD_MESSAGE_LIST(X)                 \
  X(handshakes_in, "Handshake initiations received")       \
  X(responses_out, "Handshake responses sent")             \
  X(cookie_replies_out, "Cookie replies sent, under load") \
  X(initiations_out, "Handshake initiations sent, to reach a client or to renew its keys")
#define SMARTVPN_WIREGUARD_DROP_LIST(X)                            \
  X(malformed, "no message of WireGuard's")                        \
  X(bad_mac1, "not for our key")                                   \
  X(limited, "more handshakes than a source may begin")            \
  X(unknown_peer, "a key that is no client's")                     \
  X(unknown_index, "for no keys of ours, or no longer")            \
  X(not_newer, "a handshake that was there before")                \
  X(blocked_source, "from an address that may not connect")        \
  X(untrusted_proxy, "a PROXY header from nobody who may send it") \
  X(bad_proxy_header, "a PROXY header missing or wrong")
#define SMARTVPN_WIREGUARD_COUNTER_LIST(X) SMARTVPN_WIREGUARD_MESSAGE_LIST(X) SMARTVPN_WIREGUARD_DROP_LIST(X)

struct WireguardStats {
  uint64_t peers = 0;  // keys that may begin a handshake
#define X(name, help) uint64_t name = 0;
  SMARTVPN_WIREGUARD_COUNTER_LIST(X)
#undef X
  void add(const WireguardStats& other) noexcept;  // of another shard
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
  std::string aead;                                         // what encrypts packets, of a server: "avx2"
  std::array<uint64_t, kHealthCount> sessions_by_health{};  // live ones, by Health
  ScopeStats total;                                         // includes drops that belong to no session
  std::vector<ListenerStats> listeners;
  std::vector<TransportStats> transports;
  std::optional<WireguardStats> wireguard;  // with a WireGuard listener
  std::vector<ClientStats> by_client;       // with telemetry.client_label; those that ever had a session

  // One line. Rejections, ends and drops hold only the names that are not zero.
  std::string json() const;
  // Text format 0.0.4, names beginning with smartvpn_. Connection, session and traffic series are
  // labelled listener, transport and address; drops and ends are the server's. Zeroes are printed. What is
  // told by client (label client: as many values as there are registered ones) comes last.
  std::string prometheus() const;
};

}  // namespace smartvpn::telemetry
