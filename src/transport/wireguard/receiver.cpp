// See receiver.hpp. What is checked in which order (white paper, sections 5.4.6 and 6): the source by the lists, the tag,
// the counter; only then anything about the peer changes.
#include "transport/wireguard/receiver.hpp"

#include "transport/wireguard/device_impl.hpp"
#include "transport/wireguard/inner_ecn.hpp"

namespace smartvpn::wireguard {

void Receiver::take(ByteSpan bytes, uint16_t segment_size, const Path& from, uint8_t ecn) {
  const size_t step = segment_size == 0 ? bytes.size() : segment_size;
  for (size_t at = 0; at < bytes.size(); at += step)
    take_message(bytes.subspan(at, std::min(step, bytes.size() - at)), from, ecn);
}

void Receiver::take_message(ByteSpan message, const Path& from, uint8_t ecn) {
  const MessageType type = message_type(message);
  if (type == MessageType::data) return take_data(message, from, ecn);
  finish();  // in order
  if (type == MessageType::invalid)
    ++device_.counters.malformed;
  else
    device_.take_handshake(message, type, from);
}

void Receiver::take_data(ByteSpan message, const Path& from, uint8_t ecn) {
  const uint32_t index = receiver_index(message, MessageType::data);
  const bool goes_on = peer_ && index == index_ && ecn == ecn_ && from.same_source(from_);
  if (!goes_on || count_ == kRun) {
    finish();
    if (!begin_run(index, from, ecn, message)) return;
  }
  crypto::OpenJob& job = jobs_[count_++];
  job.counter = data_counter(message);
  job.ad = {};
  job.data = message.data() + kDataHeader;
  job.size = message.size() - kDataHeader;
  job.ok = false;
  bytes_ += message.size();
}

bool Receiver::begin_run(uint32_t index, const Path& from, uint8_t ecn, ByteView message) {
  auto* peer = static_cast<Peer*>(device_.indices.find(index));
  if (!peer) {
    if (!device_.indices.is_ours(index) && device_.hand_over)
      device_.hand_to(index % 256 % device_.options.shards, message, from, ecn);
    else
      ++device_.counters.unknown_index;
    return false;
  }
  Keypair* keys = peer->receiving_keys(index, device_.now());
  if (!keys) {
    peer->drop(Drop::stale_key, 1);
    return false;
  }
  if (!peer->may_come_from(from)) {
    ++device_.counters.blocked_source;
    return false;
  }
  peer_ = peer;
  keys_ = keys;
  index_ = index;
  from_ = from;
  ecn_ = ecn;
  count_ = 0;
  bytes_ = 0;
  return true;
}

// One that has opened, was no replay, and is a packet: into the batch.
void Receiver::add_opened(crypto::OpenJob& job, size_t* packets, bool* payload) {
  const ByteSpan plain(job.data, job.size - crypto::kTagSize);
  if (plain.empty()) return;  // a keepalive
  *payload = true;
  const size_t size = inner_size(plain);
  if (size == 0) return peer_->drop(Drop::malformed_packet, 1);
  if (ecn_ == kCongested && !mark_congestion(plain.first(size))) return peer_->drop(Drop::malformed_packet, 1);
  packets_[(*packets)++] = {plain.first(size), 0, 0};
}

void Receiver::finish() {
  if (!peer_) return;
  Peer& peer = *peer_;
  Keypair& keys = *keys_;
  const size_t count = std::exchange(count_, 0);
  device_.around.aead.open(keys.recv, {jobs_.data(), count});
  size_t packets = 0, opened = 0, replayed = 0, failed = 0;
  uint64_t outer = 0;
  bool payload = false;
  for (size_t i = 0; i < count; ++i) {
    crypto::OpenJob& job = jobs_[i];
    if (!job.ok) {
      ++failed;
    } else if (!keys.window.accept(job.counter)) {
      ++replayed;
    } else {
      ++opened;
      outer += job.size + kDataHeader;
      add_opened(job, &packets, &payload);
    }
  }
  peer_ = nullptr;
  if (failed > 0) peer.drop(Drop::decrypt_failed, failed);
  if (replayed > 0) peer.drop(Drop::replayed, replayed);
  if (opened == 0) return;
  if (!peer.authentic(keys, from_, payload, opened, outer)) return;
  const uint64_t session = peer.session();
  for (size_t i = 0; i < packets; ++i) packets_[i].session = session;
  if (packets > 0) device_.around.host.on_packets(session, {packets_.data(), packets});
}

}  // namespace smartvpn::wireguard
