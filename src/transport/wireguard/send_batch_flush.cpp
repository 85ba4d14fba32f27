// The end of a batch: peer by peer its counters are taken, its segments sealed and put together as messages, equal ones
// with a shorter one at the end (what UDP_SEGMENT can cut again), and given to the sockets.
#include "transport/wireguard/message_codec.hpp"
#include "transport/wireguard/send_batch.hpp"

namespace smartvpn::wireguard {

void SendBatch::flush(Outlet& outlet) noexcept {
  if (blocked()) return resume();
  if (entries_used_ == 0) return;
  for (size_t i = 0; i < parts_used_; ++i) {
    if (!parts_[i]) continue;
    const Part part = std::exchange(*parts_[i], Part{});
    const Target target = outlet.target_of(*parts_[i]);
    uint64_t counter = 0;
    if (!target.keys || !target.socket || !target.keys->reserve(part.segments, &counter)) {
      outlet.on_unsent(*parts_[i], part.segments);
      continue;
    }
    const size_t bytes = seal(part, *target.keys, counter);
    lay_out(part, i, target);
    outlet.on_sealed(*parts_[i], *target.keys, part.segments, bytes);
  }
  send(&outlet);
}

// Gives the bytes on the wire.
size_t SendBatch::seal(const Part& part, Keypair& keys, uint64_t counter) noexcept {
  size_t bytes = 0, count = 0;
  for (uint16_t at = part.first; at != kNone; at = (*entries_)[at].next) {
    Entry& entry = (*entries_)[at];
    write_data_header(entry.wire, keys.remote_index, counter);
    crypto::SealJob& job = jobs_[count++];
    job.counter = counter++;
    job.ad = {};
    job.data = entry.wire + kDataHeader;
    job.size = entry.size - kDataHeader - kTag;
    bytes += entry.size;
    if (count < jobs_.size()) continue;
    aead_.seal(keys.send, {jobs_.data(), count});
    count = 0;
  }
  if (count > 0) aead_.seal(keys.send, {jobs_.data(), count});
  return bytes;
}

void SendBatch::lay_out(const Part& part, size_t index, const Target& target) noexcept {
  open_ = Open{};
  for (uint16_t at = part.first; at != kNone; at = (*entries_)[at].next) {
    const Entry& entry = (*entries_)[at];
    if (!join(entry)) begin_message(entry, index, target);
  }
}

void SendBatch::begin_message(const Entry& entry, size_t index, const Target& target) noexcept {
  pieces_[pieces_used_] = {entry.wire, entry.size};
  net::OutDatagram& message = messages_[messages_used_];
  message = net::OutDatagram{};
  message.pieces = {&pieces_[pieces_used_++], 1};
  message.to = target.path->peer;
  message.from = target.path->local;
  message.interface = target.path->interface;
  message.ecn = entry.ecn;
  notes_[messages_used_++] = {index, target.socket};
  open_ = {entry.size, 1, entry.size};
}

bool SendBatch::join(const Entry& entry) noexcept {
  if (entry.size > open_.stride || open_.count == net::UdpSocket::kMaxSegments) return false;
  if (open_.bytes + entry.size > net::UdpSocket::kMaxGsoBytes) return false;
  net::OutDatagram& message = messages_[messages_used_ - 1];
  if (message.ecn != entry.ecn) return false;
  message.segment_size = static_cast<uint16_t>(open_.stride);
  ByteView& last = pieces_[pieces_used_ - 1];
  if (last.data() + last.size() == entry.wire) {
    last = {last.data(), last.size() + entry.size};
  } else {
    pieces_[pieces_used_++] = {entry.wire, entry.size};
    message.pieces = {message.pieces.data(), message.pieces.size() + 1};
  }
  open_.bytes += entry.size;
  ++open_.count;
  if (entry.size < open_.stride) open_.stride = 0;
  return true;
}

// As far as the sockets take it; all of one socket's that follow each other in one call.
void SendBatch::send(Outlet* outlet) noexcept {
  while (messages_sent_ < messages_used_) {
    net::UdpSocket* socket = notes_[messages_sent_].socket;
    size_t end = messages_sent_ + 1;
    while (end < messages_used_ && notes_[end].socket == socket) ++end;
    const std::span<net::OutDatagram> batch(messages_.data() + messages_sent_, end - messages_sent_);
    const size_t sent = socket ? socket->send(batch) : batch.size();
    for (size_t i = 0; i < sent && outlet; ++i)
      if (batch[i].source_gone) outlet->on_source_gone(*parts_[notes_[messages_sent_ + i].part]);
    messages_sent_ += sent;
    if (sent < batch.size()) return;
  }
  reset();
}

void SendBatch::resume() noexcept {
  if (blocked()) send(nullptr);
}

void SendBatch::forget(const net::UdpSocket& socket) noexcept {
  for (size_t i = messages_sent_; i < messages_used_; ++i)
    if (notes_[i].socket == &socket) notes_[i].socket = nullptr;
}

void SendBatch::reset() noexcept {
  for (size_t i = 0; i < entries_used_; ++i) (*entries_)[i].block = Packet{};
  entries_used_ = parts_used_ = arena_used_ = 0;
  messages_used_ = messages_sent_ = pieces_used_ = 0;
}

}  // namespace smartvpn::wireguard
