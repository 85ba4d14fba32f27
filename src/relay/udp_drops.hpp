// Why a datagram went no further. Counted by the workers, each its own; a snapshot has their sum.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace smartvpn::relay {

// X(name, help)
#define SMARTVPN_RELAY_UDP_DROP_LIST(X)                                                              \
  X(malformed_header, "from a trusted proxy, without a sound PROXY v2 header of a datagram's")       \
  X(untrusted, "from nobody who may send headers, where they are required")                          \
  X(forged_header, "a PROXY header from somebody who may send none")                                 \
  X(local, "a proxy's own, for a health check")                                                      \
  X(limited, "would have begun a flow that lists or limits refuse")                                  \
  X(no_route, "would have begun a flow that no route takes, or where no new ones begin any more")    \
  X(target_full, "more than the target's socket takes, or than is kept while its name is looked up") \
  X(too_big, "longer than a datagram can be with the header in front")                               \
  X(unreachable, "the target cannot be reached")                                                     \
  X(client_lost, "an answer that the listener's socket did not take, or whose client cannot be reached")

enum class UdpDrop : uint8_t {
#define X(name, help) name,
  SMARTVPN_RELAY_UDP_DROP_LIST(X)
#undef X
};

#define X(name, help) +1
constexpr size_t kUdpDropCount = 0 SMARTVPN_RELAY_UDP_DROP_LIST(X);
#undef X

struct UdpDrops {
  std::array<uint64_t, kUdpDropCount> counts{};
  void count(UdpDrop why, uint64_t datagrams = 1) noexcept { counts[static_cast<size_t>(why)] += datagrams; }
  uint64_t of(UdpDrop why) const noexcept { return counts[static_cast<size_t>(why)]; }
  void add(const UdpDrops& other) noexcept {
    for (size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
  }
};

}  // namespace smartvpn::relay
