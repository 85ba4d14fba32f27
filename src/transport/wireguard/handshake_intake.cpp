// Handshake messages of whoever sends them (white paper, sections 5.3 and 5.4). What costs nothing comes first: the
// lists, mac1, under load mac2 and the limit of the source. Exchanges of keys wait for their turn, a few in each of the
// loop's.
#include "transport/wireguard/device_impl.hpp"

namespace smartvpn::wireguard {

void Device::Impl::take_handshake(ByteView message, MessageType type, const Path& from) {
  if (closing) return;
  if (admission().may_send(from.listener, from.real) != Reason::none) {
    ++counters.blocked_source;
    return;
  }
  if (type == MessageType::cookie_reply) {
    PeerMachine* machine = indices.find(receiver_index(message, type));
    if (!machine || !machine->take_cookie_reply(message, now())) ++counters.unknown_index;
    return;
  }
  if (!cookies.mac1_ok(message)) {
    ++counters.bad_mac1;
    return;
  }
  if (type == MessageType::response) {
    const uint32_t index = receiver_index(message, type);
    auto* peer = static_cast<Peer*>(indices.find(index));
    if (!peer && !indices.is_ours(index)) return hand_to(index % 256 % options.shards, message, from, 0);
    if (!peer) ++counters.unknown_index;
    if (peer && may_begin(message, from)) peer->response_received(message, from);
    return;
  }
  ++counters.handshakes_in;
  if (!may_begin(message, from)) return;
  if (handshakes.size() >= kMaxWaitingHandshakes) {
    ++counters.limited;
    return;
  }
  Waiting& waiting = handshakes.emplace_back();
  std::copy(message.begin(), message.end(), waiting.message.begin());
  waiting.from = from;
  handshake_turn.request();
}

bool Device::Impl::under_load() noexcept {
  if (handshakes.size() >= kLoadedAt) loaded_until = now() + kLoadLasts;
  return now() < loaded_until;
}

// Under load whoever wants something has to show that it is where it says it is.
bool Device::Impl::may_begin(ByteView message, const Path& from) {
  if (!under_load()) return true;
  const inet::Endpoint& source = from.counted();
  if (!cookies.mac2_ok(message, source, now())) {
    ++counters.cookie_replies_out;
    send_message(cookies.reply(message, source, now(), around.rng), from);
    return false;
  }
  if (limiter.allow(source.ip, now())) return true;
  ++counters.limited;
  return false;
}

void Device::Impl::run_handshakes() {
  while (!handshakes.empty() && !closing) {
    session::Connection turn;
    turn.listener = handshakes.front().from.listener;
    if (!admission().may_start_handshake(turn)) {
      // This turn's share is used up: sessions first, the rest right in the next turn.
      handshake_timer.start_in(Duration::zero());
      return;
    }
    const Waiting waiting = handshakes.front();
    handshakes.pop_front();
    open_initiation(waiting);
  }
}

void Device::Impl::open_initiation(const Waiting& waiting) {
  auto opened = OpenedInitiation::open(*options.identity, waiting.message, around.rng);
  if (!opened) {
    ++counters.malformed;
    return;
  }
  const unsigned home = home_of(opened->peer(), options.shards);
  if (home != options.shard) return hand_to(home, waiting.message, waiting.from, 0);
  Peer* known = peer(opened->peer());
  if (!known) {
    ++counters.unknown_peer;
    return;
  }
  const auto stamp = opened->prove(admission().shared_secret(options.identity->key.pub, opened->peer()));
  if (!stamp) {
    ++counters.malformed;
    return;
  }
  const Accepted accepted = known->accept(std::move(*opened), *stamp, now());
  if (accepted == Accepted::not_newer) ++counters.not_newer;
  if (accepted == Accepted::too_often) ++counters.limited;
  if (accepted != Accepted::ok) return;
  timestamp_grew(*known);
  known->initiation_accepted(waiting.from);
}

void Device::Impl::hand_to(unsigned shard, ByteView datagram, const Path& from, uint8_t ecn) {
  if (!hand_over || shard == options.shard) {
    ++counters.unknown_index;
    return;
  }
  Stray stray;
  stray.shard = shard;
  stray.listener = from.listener;
  stray.datagram.assign(datagram.begin(), datagram.end());
  stray.from = from.peer;
  stray.real = from.real;
  stray.behind_proxy = from.behind_proxy;
  stray.to = from.local;
  stray.interface = from.interface;
  stray.ecn = ecn;
  hand_over(std::move(stray));
}

}  // namespace smartvpn::wireguard
