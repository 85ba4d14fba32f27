// See receiver.hpp. What is checked in which order (white paper, sections 5.4.6 and 6): the source by the lists, the
// tag, the counter; only then anything about the peer changes.
#include "transport/wireguard/receiver.hpp"

#include <utility>

#include "transport/wireguard/device_impl.hpp"
#include "transport/wireguard/inner_ecn.hpp"

namespace smartvpn::wireguard {

struct Receiver::Opened {
  size_t messages = 0;  // authentic, and never seen before
  size_t packets = 0;   // of them, those in packets_
  uint64_t outer = 0;   // bytes of the messages
  uint64_t failed = 0, replayed = 0, malformed = 0;
  bool payload = false;  // at least one was more than a keepalive
};

void Receiver::take(ByteSpan bytes, uint16_t segment_size, const Path& from, uint8_t ecn) {
  if (bytes.empty()) return take_message(bytes, from, ecn);
  const size_t step = segment_size == 0 ? bytes.size() : segment_size;
  for (size_t at = 0; at < bytes.size(); at += step)
    take_message(bytes.subspan(at, std::min(step, bytes.size() - at)), from, ecn);
}

void Receiver::take_message(ByteSpan message, const Path& from, uint8_t ecn) {
  const MessageType type = message_type(message);
  if (type == MessageType::data) return take_data(message, from, ecn);
  if (type == MessageType::invalid) {
    ++device_.counters.malformed;
    return;
  }
  if (!device_.is_welcome(message, type, from)) return;  // a stranger's junk cuts nobody's batch
  finish();                                              // in order
  device_.take_handshake(message, type, from);
}

void Receiver::take_data(ByteSpan message, const Path& from, uint8_t ecn) {
  const uint32_t index = receiver_index(message, MessageType::data);
  if (!last_owner_ || index != last_index_) {
    last_owner_ = owner_of(index, message, from, ecn);
    last_index_ = index;
    if (!last_owner_) return;
  }
  Peer& owner = *last_owner_;
  batch_.add(owner, index, from, ecn, message);
}

Peer* Receiver::owner_of(uint32_t index, ByteView message, const Path& from, uint8_t ecn) {
  auto* peer = static_cast<Peer*>(device_.indices.find(index));
  if (peer) return peer;
  if (!device_.indices.is_ours(index) && device_.hand_over)
    device_.hand_to(index % 256 % device_.options.shards, message, from, ecn);
  else
    ++device_.counters.unknown_index;
  return nullptr;
}

void Receiver::finish() {
  if (!batch_.empty()) batch_.flush();
  last_owner_ = nullptr;
}

void Receiver::forget(const Peer& peer) noexcept {
  batch_.forget(peer);
  if (last_owner_ == &peer) last_owner_ = nullptr;
}

// A packet for the host; a keepalive is none.
void Receiver::take_packet(ByteSpan plain, uint8_t ecn, Opened& out) noexcept {
  if (plain.empty()) return;
  out.payload = true;
  const ByteSpan packet = plain.first(inner_size(plain));
  if (packet.empty() || !take_over_ecn(packet, ecn)) {
    ++out.malformed;
    return;
  }
  packets_[out.packets++] = {packet, 0, 0};
}

Receiver::Opened Receiver::open_messages(ReceiveBatch::Run& run, Keypair& keys) noexcept {
  Opened out;
  device_.around.aead.open(keys.recv, run.messages());
  for (size_t i = 0; i < run.size; ++i) {
    const crypto::OpenJob& job = run.jobs[i];
    if (!job.ok) {
      ++out.failed;
    } else if (!keys.window.accept(job.counter)) {
      ++out.replayed;
    } else {
      ++out.messages;
      out.outer += job.size + kDataHeader;
      take_packet({job.data, job.size - crypto::kTagSize}, run.ecn[i], out);
    }
  }
  return out;
}

void Receiver::open_run(ReceiveBatch::Run& run) {
  Peer& peer = *run.peer;
  Keypair* keys = peer.receiving_keys(run.index, device_.now());
  if (!keys) return peer.drop(Drop::stale_key, run.size);
  if (!peer.may_come_from(run.path)) {
    device_.counters.blocked_source += run.size - 1;  // one is counted already
    return;
  }
  const Opened opened = open_messages(run, *keys);
  peer.drop(Drop::decrypt_failed, opened.failed);
  peer.drop(Drop::replayed, opened.replayed);
  peer.drop(Drop::malformed_packet, opened.malformed);
  if (opened.messages == 0) return;
  if (!peer.authentic(*keys, run.path, opened.payload, opened.messages, opened.outer))
    return peer.drop(Drop::session_not_ready, opened.packets);
  const uint64_t session = peer.session();
  for (size_t i = 0; i < opened.packets; ++i) packets_[i].session = session;
  if (opened.packets > 0) device_.around.host.on_packets(session, {packets_.data(), opened.packets});
}

}  // namespace smartvpn::wireguard
