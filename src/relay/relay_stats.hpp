// What a relay counts, and its texts. Filled by the workers, each its own; a snapshot is their sum.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/reason.hpp"
#include "inet/address.hpp"
#include "relay/udp_counters.hpp"
#include "relay/udp_drops.hpp"

namespace smartvpn::relay {

// X(name, prometheus type, prometheus name without prefix, help). "In" is from the client.
#define SMARTVPN_RELAY_COUNTER_LIST(X)                                                                \
  X(connections_total, "counter", "connections_total", "Connections accepted from the network")       \
  X(connections_open, "gauge", "connections_open", "Connections open now")                            \
  X(connections_relayed, "counter", "connections_relayed_total", "Connections that reached a target") \
  X(target_failures, "counter", "target_failures_total", "Attempts to reach a target that failed")    \
  X(bytes_in, "counter", "bytes_in_total", "Bytes from clients that were delivered to targets")       \
  X(bytes_out, "counter", "bytes_out_total", "Bytes from targets that were delivered to clients")

struct RelayCounters {
#define X(name, type, metric, help) uint64_t name = 0;
  SMARTVPN_RELAY_COUNTER_LIST(X)
#undef X
  void add(const RelayCounters& other) noexcept;
};

// Over the last 1, 10 and 60 seconds.
struct RelayRates {
  static constexpr std::array<unsigned, 3> kWindows{1, 10, 60};
  std::array<double, 3> connections_per_second{}, bytes_in_per_second{}, bytes_out_per_second{};
  void add(const RelayRates& other) noexcept;
};

struct RouteStats {
  std::string route;
  RelayCounters counters;
  RelayRates rates;
};

struct AddressStats {
  inet::IpAddress address;
  uint64_t connections_open = 0, connections_total = 0, bytes_in = 0, bytes_out = 0;
};

struct RelaySnapshot {
  int64_t time_ms = 0;     // wall clock
  int64_t started_ms = 0;  // wall clock
  uint64_t events_lost = 0;
  RelayCounters total;
  RelayRates rates;
  std::array<uint64_t, kReasonCount> rejections{};  // connections refused, by Reason
  std::array<uint64_t, kReasonCount> ended{};       // connections that were relayed, by Reason
  std::vector<RouteStats> routes;                   // those of the present configuration, in its order
  std::vector<AddressStats> addresses;              // by bytes, at most kMaxAddresses
  AddressStats other_addresses;                     // of all that the table had no place for
  UdpCounters udp;                                  // flows, and datagrams that went on
  UdpDrops udp_drops;                               // datagrams

  static constexpr size_t kMaxAddresses = 100;
  uint64_t rejections_total() const noexcept;
  std::string json() const;        // one line
  std::string prometheus() const;  // text format 0.0.4, names beginning with smartvpn_relay_
};

}  // namespace smartvpn::relay
