// Where a peer is, as datagrams show it: who sends, which of our addresses it came to, and who is behind a proxy.
#pragma once

#include <optional>

#include "inet/address.hpp"

namespace smartvpn::wireguard {

struct Path {
  uint32_t listener = 0;
  uint32_t interface = 0;     // index; 0: any
  bool behind_proxy = false;  // a PROXY header was read
  inet::Endpoint peer;        // the socket's peer: the proxy, or the client itself
  inet::IpAddress local;      // ours, which the peer writes to; none: the kernel chooses
  std::optional<inet::Endpoint> real;  // the client; absent for an address-less PROXY header

  // Whether both come from the same sender through the same listener; where to is another matter.
  bool same_sender(const Path& other) const noexcept {
    return listener == other.listener && peer == other.peer && behind_proxy == other.behind_proxy && real == other.real;
  }
  bool operator==(const Path& other) const noexcept {
    return same_sender(other) && local == other.local && interface == other.interface;
  }
  // Whom limits and cookies count by.
  const inet::Endpoint& counted() const noexcept { return real ? *real : peer; }
};

}  // namespace smartvpn::wireguard
