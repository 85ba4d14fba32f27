// See sender.hpp. One run of packets of one peer after the other: its keys change between runs, and so does the socket.
#include "transport/wireguard/sender.hpp"

#include "transport/wireguard/device_impl.hpp"
#include "transport/wireguard/inner_ecn.hpp"

namespace smartvpn::wireguard {
namespace {

constexpr size_t kEntries = 1024;  // far more than a batch; a single packet is a segment at least

void pad(uint8_t* packet, size_t size, size_t padded) noexcept { std::memset(packet + size, 0, padded - size); }

}  // namespace

size_t Sender::Segment::wire() const noexcept { return kDataHeader + plain + kTag; }

Sender::Sender(Device::Impl& device) : device_(device), arena_(new uint8_t[kArena]) { entries_.reserve(kEntries); }

void Sender::add(Peer& peer, Packet&& packet) noexcept {
  if (entries_.size() == kEntries) flush();
  if (entries_.size() == kEntries) return peer.drop(Drop::queue_full, packet.segments);  // called from a flush
  waiting_ += packet.segments;
  entries_.push_back({&peer, std::move(packet)});
  if (waiting_ >= kBatch) flush();
}

void Sender::forget(const Peer& peer) noexcept {
  for (Entry& entry : entries_)
    if (entry.peer == &peer) entry = Entry{};
}

void Sender::flush() noexcept {
  if (flushing_) return;
  flushing_ = true;
  for (size_t at = 0; at < entries_.size();) {
    Peer* peer = entries_[at].peer;
    at = peer ? take_some(at, *peer) : at + 1;
  }
  entries_.clear();
  waiting_ = 0;
  flushing_ = false;
}

// Seals and sends packets of one peer from entry `at` on, as many as a batch holds; gives the entry that is next.
size_t Sender::take_some(size_t at, Peer& peer) noexcept {
  count_ = 0;
  arena_used_ = 0;
  size_t first = at;
  for (; at < entries_.size() && entries_[at].peer == &peer && count_ < kBatch; ++at) {
    Packet& packet = entries_[at].packet;
    const bool whole = packet.segment_size != 0 ? cut(packet, peer) : place(packet, peer);
    if (!whole) break;  // the rest of it, or it, comes with the next batch
  }
  if (count_ > 0) seal_and_send(peer, true);
  for (; first < at; ++first) entries_[first] = Entry{};
  return at;
}

uint8_t* Sender::from_arena(size_t size) noexcept {
  if (kArena - arena_used_ < size) return nullptr;
  uint8_t* out = arena_.get() + arena_used_;
  arena_used_ += size;
  return out;
}

// False when the batch is full before the super-packet's end.
bool Sender::cut(const Packet& packet, Peer& peer) noexcept {
  if (next_piece_ == 0 && inet::parse_super(packet.bytes(), packet.segment_size, super_) != Drop::none) {
    peer.drop(Drop::bad_super_packet, packet.segments);
    return true;
  }
  const uint8_t ecn = ecn_of(packet.bytes());
  const size_t mtu = peer.mtu();
  for (; next_piece_ < super_.segments; ++next_piece_) {
    const size_t size = inet::segment_length(super_, next_piece_), padded = padded_size(size, mtu);
    if (count_ == kBatch) return false;
    uint8_t* message = from_arena(kDataHeader + padded + kTag);
    if (!message) return false;
    inet::write_segment(packet.bytes(), super_, next_piece_, message + kDataHeader);
    pad(message + kDataHeader, size, padded);
    segments_[count_++] = {message, static_cast<uint32_t>(padded), ecn};
  }
  next_piece_ = 0;
  return true;
}

// A single packet, where it lies. False when there is no room for it in this batch.
bool Sender::place(Packet& packet, Peer& peer) noexcept {
  const size_t size = packet.size(), padded = padded_size(size, peer.mtu());
  uint8_t* message = packet.bytes().data() - kDataHeader;
  if (packet.headroom() < kDataHeader || packet.tailroom() < padded - size + kTag) {
    message = from_arena(kDataHeader + padded + kTag);
    if (!message) {
      if (arena_used_ > 0) return false;
      peer.drop(Drop::too_big, 1);
      return true;
    }
    std::memcpy(message + kDataHeader, packet.bytes().data(), size);
  }
  pad(message + kDataHeader, size, padded);
  segments_[count_++] = {message, static_cast<uint32_t>(padded), ecn_of(packet.bytes())};
  return true;
}

void Sender::seal_and_send(Peer& peer, bool payload) noexcept {
  Keypair* keys = peer.sending_keys(device_.now());
  uint64_t counter = 0;
  if (!keys || !peer.path() || !keys->reserve(count_, &counter)) {
    peer.drop(Drop::session_not_ready, count_);
    return peer.act(peer.want_session(device_.now()));
  }
  uint64_t bytes = 0;
  for (size_t i = 0; i < count_; ++i) {
    const Segment& segment = segments_[i];
    write_data_header(segment.message, keys->remote_index, counter + i);
    jobs_[i] = {counter + i, {}, segment.message + kDataHeader, segment.plain};
    bytes += segment.wire();
  }
  device_.around.aead.seal(keys->send, {jobs_.data(), count_});
  piece_count_ = out_count_ = 0;
  for (size_t first = 0; first < count_;) first = make_message(first, peer);
  Device::Impl::Listener* listener = device_.listener(peer.path()->listener);
  size_t gone = 0;
  if (listener && listener->socket) {
    gone = listener->socket->send({out_.data(), out_count_});
    listener->blocked |= gone < out_count_;
  }
  bool source_gone = false;
  for (size_t i = 0; i < out_count_; ++i) source_gone |= std::exchange(out_[i].source_gone, false);
  if (gone < out_count_) {
    uint64_t lost = 0;
    for (size_t i = gone; i < out_count_; ++i) lost += out_[i].segment_size == 0 ? 1 : out_[i].pieces.size();
    peer.drop(Drop::queue_full, lost);
  }
  if (source_gone) peer.source_is_gone();
  peer.sent(*keys, payload, count_, bytes);
}

// As many segments as may leave as one message: equal on the wire, but for a shorter last one.
size_t Sender::make_message(size_t first, const Peer& peer) noexcept {
  const Path& path = *peer.path();
  const size_t stride = segments_[first].wire();
  size_t end = first, size = 0;
  for (; end < count_ && end - first < net::UdpSocket::kMaxSegments; ++end) {
    const size_t wire = segments_[end].wire();
    if (wire > stride || segments_[end].ecn != segments_[first].ecn || size + wire > net::UdpSocket::kMaxGsoBytes)
      break;
    size += wire;
    if (wire < stride) {
      ++end;
      break;
    }
  }
  const size_t begin = piece_count_;
  for (size_t i = first; i < end; ++i) pieces_[piece_count_++] = {segments_[i].message, segments_[i].wire()};
  net::OutDatagram& out = out_[out_count_++];
  out.pieces = {pieces_.data() + begin, piece_count_ - begin};
  out.segment_size = end - first > 1 ? static_cast<uint16_t>(stride) : uint16_t{0};
  out.to = path.peer;
  out.from = path.local;
  out.interface = path.interface;
  out.ecn = segments_[first].ecn;
  return end;
}

void Sender::keepalive(Peer& peer) noexcept {
  flush();
  if (flushing_) return;  // something of this turn's is on its way already
  flushing_ = true;
  arena_used_ = 0;
  count_ = 1;
  segments_[0] = {from_arena(kMinData), 0, kNotCapable};
  seal_and_send(peer, false);
  flushing_ = false;
}

}  // namespace smartvpn::wireguard
