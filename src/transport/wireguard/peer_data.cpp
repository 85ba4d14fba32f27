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
  if (actions.give_up) give_up_waiting();
}

void Peer::give_up_waiting() noexcept {
  if (!waiting_) return;
  for (const Packet& packet : *waiting_) {
    stops_waiting(packet);
    drop(Drop::session_not_ready, packet.segments);
  }
  waiting_.reset();
}

void Peer::stops_waiting(const Packet& packet) noexcept {
  --device_.waiting_packets;
  device_.waiting_bytes -= packet.size();
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
    if (packet.size() > Device::Impl::kMaxWaitingBytes - device_.waiting_bytes) return Drop::queue_full;
    if (!full && device_.waiting_packets >= Device::Impl::kMaxWaitingInAll) return Drop::queue_full;
    const size_t bytes = packet.size();
    waiting_->push_back(std::move(packet));
    ++device_.waiting_packets;
    device_.waiting_bytes += bytes;
    if (full) {  // the oldest is the least wanted
      drop(Drop::session_not_ready, waiting_->front().segments);
      stops_waiting(waiting_->front());
      waiting_->pop_front();
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
    for (Packet& packet : *waiting) {
      stops_waiting(packet);
      const uint64_t session_now = session();
      if (session_now == 0) continue;  // it was closed from in there
      try {
        device_.around.host.on_awaited(session_now, std::move(packet));
      } catch (const std::bad_alloc&) {
        drop(Drop::queue_full, 1);
      }
    }
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
  std::erase_if(*waiting_, [&](const Packet& packet) {
    if (keep(packet)) return false;
    stops_waiting(packet);
    return true;
  });
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
