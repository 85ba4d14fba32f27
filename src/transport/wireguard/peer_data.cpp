// What goes to a peer: packets of the host's, those that wait for a session, a rate limit or the socket, and what the
// machine wants said.
#include "transport/wireguard/device_impl.hpp"

namespace smartvpn::wireguard {

uint16_t Peer::mtu() const { return device_.options.mtu; }

void Peer::drop(Drop drop, uint64_t packets) noexcept {
  if (packets > 0) device_.around.host.on_drop(session(), drop, packets);
}

void Peer::act(const Actions& actions) noexcept {
  if (actions.keepalive) send_keepalive();
  if (actions.initiate) initiate();
  if (actions.give_up && waiting_) {
    drop(Drop::session_not_ready, waiting_->size());
    device_.waiting_packets -= waiting_->size();
    waiting_.reset();
  }
}

// At once, or as soon as the last handshake is long enough ago.
void Peer::want_keys() noexcept {
  act(want_session(now()));
  arm();
}

void Peer::initiate() noexcept {
  if (!path_ || device_.closing) return;
  try {
    const auto message = write_initiation(now(), device_.wall_clock_ns());
    if (!message) return;
    ++device_.counters.initiations_out;
    if (live_) {
      live_->bytes_out += message->size();
      ++live_->messages_out;
    }
    bool source_gone = false;
    device_.send_message(*message, *path_, &source_gone);
    if (source_gone) source_is_gone();
  } catch (const std::bad_alloc&) {
    // The next packet or timer tries again.
  }
  arm();
}

void Peer::send_keepalive() noexcept {
  if (!path_) return;
  Keypair* keys = sending_keys(now());
  if (!keys) return want_keys();
  uint64_t counter = 0;
  if (!keys->reserve(1, &counter)) return;
  std::array<uint8_t, kMinData> message;
  write_data_header(message.data(), keys->remote_index, counter);
  crypto::SealJob job{counter, {}, message.data() + kDataHeader, 0};
  device_.around.aead.seal(keys->send, {&job, 1});
  bool source_gone = false;
  device_.send_message(message, *path_, &source_gone);
  if (source_gone) source_is_gone();
  sent(*keys, false, 1, message.size());
}

SendBatch::Target Peer::target() noexcept {
  SendBatch::Target out;
  if (!path_) return out;
  Device::Impl::Listener* listener = device_.listener(path_->listener);
  out.keys = sending_keys(now());
  out.path = path_.get();
  out.socket = listener ? listener->socket.get() : nullptr;
  return out;
}

void Peer::sent(Keypair& keys, bool payload, uint64_t messages, uint64_t outer) noexcept {
  if (live_) {
    live_->bytes_out += outer;
    live_->messages_out += messages;
  }
  act(on_sent(keys, payload, now()));
  arm();
}

// The address that packets came to is not ours any more.
void Peer::source_is_gone() noexcept {
  if (!path_) return;
  path_->local = {};
  path_->interface = 0;
}

session::SendQueue& Peer::queue() {
  if (!live_->queue) {
    live_->queue = std::make_unique<session::SendQueue>(device_.around.rng.u32());
    live_->queue->set_gate(live_->gate);
  }
  return *live_->queue;
}

Drop Peer::send(Packet&& packet) {
  if (!live_ || live_->session == 0) return Drop::session_not_ready;
  if (!packet || packet.size() == 0) return Drop::malformed_packet;
  const bool held = live_->gate || (live_->queue && !live_->queue->empty()) || !sending_keys(now());
  Drop drop = Drop::none;
  if (!held && device_.sender.add(part_, packet, &drop)) return drop;
  return enqueue(std::move(packet));
}

Drop Peer::enqueue(Packet&& packet) {
  // Where memory is bounded a queue may take a part of what is left.
  const uint64_t dropped = queue().push(std::move(packet), now(), device_.around.pool.room() / 8);
  if (dropped > 0) drop(live_->queue->drop_name(), dropped);
  device_.sender.put_in_backlog(part_);
  if (!sending_keys(now())) want_keys();
  return Drop::none;
}

bool Peer::drain() noexcept {
  if (!live_ || !live_->queue || live_->queue->empty()) return false;
  if (!sending_keys(now())) {
    want_keys();
    return true;
  }
  uint64_t dropped = 0;
  while (device_.sender.has_room()) {
    Packet packet = live_->queue->pop(now(), &dropped);
    if (!packet) break;
    const uint64_t segments = packet.segments;
    Drop refused = Drop::none;
    device_.sender.add(part_, packet, &refused);
    if (refused != Drop::none) drop(refused, segments);
  }
  drop(live_->queue->drop_name(), dropped);
  live_->queue->release_if_empty();
  arm();
  return live_->queue->ready(now());
}

Drop Peer::wake(Packet&& packet) noexcept {
  if (!path_ || device_.closing || device_.draining) return Drop::no_route;
  try {
    if (!waiting_) waiting_ = std::make_unique<std::deque<Packet>>();
    const bool full = waiting_->size() >= Device::Impl::kMaxWaitingPackets;
    if (!full && device_.waiting_packets >= Device::Impl::kMaxWaitingInAll) return Drop::queue_full;
    waiting_->push_back(std::move(packet));
    ++device_.waiting_packets;
    if (full) {  // the oldest is the least wanted
      drop(Drop::session_not_ready, waiting_->front().segments);
      waiting_->pop_front();
      --device_.waiting_packets;
    }
  } catch (const std::bad_alloc&) {
    return Drop::queue_full;
  }
  want_keys();
  return Drop::none;
}

void Peer::flush_waiting() noexcept {
  if (waiting_ && session() != 0 && sending_keys(now())) {
    const std::unique_ptr<std::deque<Packet>> waiting = std::move(waiting_);
    device_.waiting_packets -= waiting->size();
    for (Packet& packet : *waiting)
      if (const uint64_t session_now = session()) device_.around.host.on_awaited(session_now, std::move(packet));
  }
}

void Peer::set_gate(session::SendGate* gate) noexcept {
  if (!live_) return;
  live_->gate = gate;
  if (!live_->queue) return;
  live_->queue->set_gate(gate);
  if (!live_->queue->empty()) device_.sender.put_in_backlog(part_);
  arm();
}

void Peer::trim() noexcept {
  if (live_ && live_->queue) drop(Drop::queue_full, live_->queue->trim(device_.around.pool.room() / 8));
}

void Peer::sift(const std::function<bool(const Packet&)>& keep) noexcept {
  if (live_ && live_->queue) live_->queue->sift(keep);
  if (!waiting_) return;
  const size_t before = waiting_->size();
  std::erase_if(*waiting_, [&](const Packet& packet) { return !keep(packet); });
  device_.waiting_packets -= before - waiting_->size();
}

session::LinkFigures Peer::figures() const {
  session::LinkFigures out;
  const Live* live = live_ ? live_.get() : leaving_;
  if (!live) return out;
  out.outer_bytes_in = live->bytes_in;
  out.outer_bytes_out = live->bytes_out;
  out.outer_messages_in = live->messages_in;
  out.outer_messages_out = live->messages_out;
  out.last_heard = live->last_heard;
  if (live->queue) out.queued_bytes = live->queue->bytes();
  if (last_rtt() >= Duration{0}) {
    out.rtt_latest = last_rtt();
    out.rtt_samples = 1;
  }
  return out;
}

}  // namespace smartvpn::wireguard
