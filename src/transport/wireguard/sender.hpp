// What a device sends: one batch for all its peers, those that wait for room in it, and what becomes of a peer whose
// packets have been sealed.
#pragma once

#include <vector>

#include "transport/wireguard/device.hpp"
#include "transport/wireguard/send_batch.hpp"

namespace smartvpn::wireguard {

class Peer;

// A peer's part of the batch, and whose it is.
struct PeerPart final : SendBatch::Part {
  explicit PeerPart(Peer& peer) noexcept : owner(peer) {}
  Peer& owner;
  bool in_backlog = false;
};

class Sender final : private SendBatch::Outlet {
 public:
  explicit Sender(Device::Impl& device);

  // Takes a packet whose peer has keys; `drop` says if it was not wanted. False: there is no room, since a socket is
  // full, and the packet is untouched. Seals and sends by itself when there is enough for the cipher.
  bool add(PeerPart& part, Packet& packet, Drop* drop) noexcept;
  bool has_room() noexcept;
  // Seals and sends all that was added, and what the backlog can add.
  void flush() noexcept;
  // Peer::drain() is asked at each flush as long as it leaves something.
  void put_in_backlog(PeerPart& part) noexcept;
  // The part's peer has nothing to send any more; gives the segments that were dropped.
  size_t forget(PeerPart& part) noexcept;
  void forget(const net::UdpSocket& socket) noexcept;
  // Each peer has a place in the backlog, which must not need memory later.
  void make_room_for_peers(size_t count);

 private:
  SendBatch::Target target_of(SendBatch::Part& part) override;
  void on_sealed(SendBatch::Part& part, Keypair& keys, size_t segments, size_t bytes) override;
  void on_unsent(SendBatch::Part& part, size_t segments) override;
  void on_source_gone(SendBatch::Part& part) override;
  void drain_backlog() noexcept;

  Device::Impl& device_;
  SendBatch batch_;
  std::vector<PeerPart*> backlog_;
};

}  // namespace smartvpn::wireguard
