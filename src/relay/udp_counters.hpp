// What is counted of datagrams, besides those that went no further (udp_drops.hpp): a flow is a connection too, and its
// bytes are among the relay's. Counted by the workers, each its own; a snapshot has their sum.
#pragma once

#include <cstdint>

namespace smartvpn::relay {

// X(name, prometheus type, prometheus name without prefix, help). "In" is from the client.
#define SMARTVPN_RELAY_UDP_COUNTER_LIST(X)                                                                     \
  X(udp_flows_total, "counter", "udp_flows_total", "Flows of datagrams that clients began")                    \
  X(udp_flows_open, "gauge", "udp_flows_open", "Flows of datagrams open now")                                  \
  X(udp_datagrams_in, "counter", "udp_datagrams_in_total", "Datagrams from clients that were sent to targets") \
  X(udp_datagrams_out, "counter", "udp_datagrams_out_total", "Datagrams from targets that were sent to clients")

struct UdpCounters {
#define X(name, type, metric, help) uint64_t name = 0;
  SMARTVPN_RELAY_UDP_COUNTER_LIST(X)
#undef X
  void add(const UdpCounters& other) noexcept {
#define X(name, type, metric, help) name += other.name;
    SMARTVPN_RELAY_UDP_COUNTER_LIST(X)
#undef X
  }
};

}  // namespace smartvpn::relay
