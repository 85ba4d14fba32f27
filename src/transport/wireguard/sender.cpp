// See sender.hpp.
#include "transport/wireguard/sender.hpp"

#include <algorithm>

#include "transport/wireguard/device_impl.hpp"

namespace smartvpn::wireguard {
namespace {

Peer& owner_of(SendBatch::Part& part) noexcept { return static_cast<PeerPart&>(part).owner; }

}  // namespace

Sender::Sender(Device::Impl& device) : device_(device), batch_(device.around.aead) {}

bool Sender::has_room() noexcept {
  if (!batch_.has_room() && !batch_.blocked()) batch_.flush(*this);
  return batch_.has_room();
}

bool Sender::add(PeerPart& part, Packet& packet, Drop* drop) noexcept {
  if (!has_room()) return false;
  *drop = batch_.add(part, std::move(packet), device_.options.mtu);
  if (batch_.ready()) batch_.flush(*this);
  return true;
}

void Sender::flush() noexcept {
  if (batch_.blocked()) batch_.resume();
  if (!batch_.blocked()) drain_backlog();
  if (!batch_.blocked()) batch_.flush(*this);
}

void Sender::put_in_backlog(PeerPart& part) noexcept {
  if (part.in_backlog) return;
  part.in_backlog = true;
  backlog_.push_back(&part);
}

// Whoever has something left stays; whoever has had no turn, since the socket is full again, is first the next time.
void Sender::drain_backlog() noexcept {
  const size_t all = backlog_.size();
  size_t done = 0;
  while (done < all && !batch_.blocked()) {
    PeerPart* part = backlog_[done++];
    part->in_backlog = false;
    if (owner_of(*part).drain()) put_in_backlog(*part);  // behind the others, in the place that it has left
  }
  backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(done));
}

size_t Sender::forget(PeerPart& part) noexcept {
  if (part.in_backlog) std::erase(backlog_, &part);
  part.in_backlog = false;
  return batch_.forget(part);
}

void Sender::forget(const net::UdpSocket& socket) noexcept {
  batch_.forget(socket);
  batch_.resume();
}

// Twice: while it is drained, who stays is in there two times.
void Sender::make_room_for_peers(size_t count) {
  if (backlog_.capacity() < 2 * count) backlog_.reserve(std::max(2 * count, 2 * backlog_.capacity()));
}

SendBatch::Target Sender::target_of(SendBatch::Part& part) { return owner_of(part).target(); }

void Sender::on_sealed(SendBatch::Part& part, Keypair& keys, size_t segments, size_t bytes) {
  owner_of(part).sent(keys, true, segments, bytes);
}

void Sender::on_unsent(SendBatch::Part& part, size_t segments) {
  owner_of(part).drop(Drop::session_not_ready, segments);
}

void Sender::on_source_gone(SendBatch::Part& part) { owner_of(part).source_is_gone(); }

}  // namespace smartvpn::wireguard
