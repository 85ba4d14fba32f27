// Where datagrams of a peer come from and go to: the socket, the address on its other side, and our own address that
// it was sent to, which answers keep (white paper, section 6.5; kernel: "sticky sockets").
#pragma once

#include <optional>

#include "inet/address.hpp"
#include "session/admission.hpp"

namespace smartvpn::wireguard {

struct Path {
  uint32_t listener = 0;
  inet::Endpoint peer;                 // whom we send to: the client itself, or the proxy
  std::optional<inet::Endpoint> real;  // the client; none: an address-less PROXY header
  bool behind_proxy = false;
  inet::IpAddress local;  // none: not known, the kernel chooses
  uint32_t interface = 0;

  // The same client at the same place. Our own address may differ.
  bool same_source(const Path& other) const noexcept {
    return peer == other.peer && listener == other.listener && real == other.real;
  }
  bool operator==(const Path& other) const noexcept {
    return same_source(other) && local == other.local && interface == other.interface;
  }
  // Whom limits and cookies are about.
  const inet::Endpoint& counted() const noexcept { return real ? *real : peer; }
  // Whether that is where somebody is known to be.
  bool is_of(const session::Connection& known) const noexcept {
    return peer == known.peer_addr && real == known.real_addr && listener == known.listener;
  }
  // What the server is told of somebody there. `id` 0: nobody yet.
  session::Connection connection(uint64_t id) const {
    session::Connection out;
    out.id = id;
    out.listener = listener;
    out.transport = session::Transport::wireguard;
    out.peer_addr = peer;
    out.real_addr = real;
    out.behind_proxy = behind_proxy;
    return out;
  }
};

}  // namespace smartvpn::wireguard
