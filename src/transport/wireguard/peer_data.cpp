// What goes to a peer: packets of the host's, those that wait for a session, a rate limit or the socket, and what the
// machine wants said.
#include "transport/wireguard/device_impl.hpp"

namespace smartvpn::wireguard {

uint16_t Peer::mtu() const { return device_.options.mtu; }

void Peer::drop(Drop drop, uint64_t packets) noexcept {
  if (live_ && live_->session != 0 && packets > 0) device_.around.host.on_drop(live_->session, drop, packets);
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
  if (sending_keys(now()))
    device_.sender.keepalive(*this);
  else
    act(want_session(now()));
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
  const bool ready = sending_keys(now()) != nullptr;
  const auto* listener = device_.listener(path_->listener);
  const bool held = !ready || live_->gate || (live_->queue && !live_->queue->empty()) || (listener && listener->blocked);
  if (!held) {
    device_.sender.add(*this, std::move(packet));
    return Drop::none;
  }
  const uint64_t dropped = queue().push(std::move(packet), now(), device_.around.pool.room() / 8);
  if (dropped > 0) drop(live_->queue->drop_name(), dropped);
  if (!ready) act(want_session(now()));
  if (ready && (!listener || !listener->blocked)) flush_waiting();
  arm();
  return Drop::none;
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
  act(want_session(now()));
  return Drop::none;
}

void Peer::flush_waiting() noexcept {
  if (waiting_ && session() != 0 && sending_keys(now())) {
    const std::unique_ptr<std::deque<Packet>> waiting = std::move(waiting_);
    device_.waiting_packets -= waiting->size();
    for (Packet& packet : *waiting)
      if (const uint64_t session_now = session()) device_.around.host.on_awaited(session_now, std::move(packet));
  }
  if (!live_ || !live_->queue || !sending_keys(now())) return;
  uint64_t dropped = 0;
  while (Packet packet = live_->queue->pop(now(), &dropped)) {
    device_.sender.add(*this, std::move(packet));
  }
  if (dropped > 0) drop(live_->queue->drop_name(), dropped);
  live_->queue->release_if_empty();
}

void Peer::resume() noexcept {
  flush_waiting();
  arm();
}

void Peer::set_gate(session::SendGate* gate) noexcept {
  if (!live_) return;
  live_->gate = gate;
  if (!live_->queue) return;
  live_->queue->set_gate(gate);
  flush_waiting();
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
