// The one list of traffic counters. Sessions, listeners and totals are the same struct, and JSON,
// Prometheus and the C ABI take names and texts from the list. "In" is from the client to us.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/reason.hpp"

namespace smartvpn::telemetry {

// X(name, help). Inner: the packets inside the tunnel, a super-packet counted as its segments.
// Outer: protocol messages and bytes as the carrier's stream or datagrams had them.
#define SMARTVPN_TRAFFIC_COUNTER_LIST(X)                            \
  X(inner_packets_in, "Inner packets accepted from clients")        \
  X(inner_bytes_in, "Bytes of inner packets accepted from clients") \
  X(inner_packets_out, "Inner packets sent to clients")             \
  X(inner_bytes_out, "Bytes of inner packets sent to clients")      \
  X(outer_messages_in, "Carrier messages received from clients")    \
  X(outer_bytes_in, "Carrier bytes received from clients")          \
  X(outer_messages_out, "Carrier messages sent to clients")         \
  X(outer_bytes_out, "Carrier bytes sent to clients")

struct SessionCounters {
#define X(name, help) uint64_t name = 0;
  SMARTVPN_TRAFFIC_COUNTER_LIST(X)
#undef X
  std::array<uint64_t, kDropCount> drops{};  // packets (segments), by Drop

  void drop(Drop why, uint64_t packets = 1) noexcept { drops[static_cast<size_t>(why)] += packets; }
  uint64_t drops_total() const noexcept;  // without Drop::none
  void add(const SessionCounters& other) noexcept;
};

}  // namespace smartvpn::telemetry
