// What a machine holds of handshakes under way; for its own sources alone.
#pragma once

#include "transport/wireguard/peer_machine.hpp"

namespace smartvpn::wireguard {

struct PeerMachine::Outgoing {
  explicit Outgoing(noise::Initiator begun) noexcept : handshake(std::move(begun)) {}
  noise::Initiator handshake;
  uint32_t index = 0;
  Time sent{};
};

struct PeerMachine::Incoming {
  explicit Incoming(OpenedInitiation received) noexcept : opened(std::move(received)) {}
  OpenedInitiation opened;
};

}  // namespace smartvpn::wireguard
