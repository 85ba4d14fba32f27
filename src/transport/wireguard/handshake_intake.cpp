// Handshake messages of whoever sends them (white paper, sections 5.3 and 5.4). What costs nothing comes first: the
// lists, mac1, under load mac2 and the limit of the source. Exchanges of keys wait for their turn, a few in each of the
// loop's.
#include <new>

#include "transport/wireguard/device_impl.hpp"

namespace smartvpn::wireguard {

// What costs next to nothing and changes nothing.
bool Device::Impl::is_welcome(ByteView message, MessageType type, const Path& from) {
  if (closing) return false;
  if (admission().may_send(from.connection(0)) != Reason::none) {
    ++counters.blocked_source;
    return false;
  }
  if (type == MessageType::cookie_reply || cookies.mac1_ok(message)) return true;
  ++counters.bad_mac1;
  return false;
}

void Device::Impl::take_handshake(ByteView message, MessageType type, const Path& from) {
  if (type == MessageType::cookie_reply) {
    PeerMachine* machine = indices.find(receiver_index(message, type));
    const uint32_t index = receiver_index(message, type);
    if (!machine && !indices.is_ours(index)) return hand_to(index % 256 % options.shards, message, from, 0);
    if (!machine || !machine->take_cookie_reply(message, now())) ++counters.unknown_index;
    return;
  }
  if (type == MessageType::response) {
    const uint32_t index = receiver_index(message, type);
    const bool known = indices.find(index) != nullptr;
    if (!known && !indices.is_ours(index)) return hand_to(index % 256 % options.shards, message, from, 0);
    if (!known) {
      ++counters.unknown_index;
      return;
    }
  } else {
    ++counters.handshakes_in;
  }
  if (!may_begin(message, from)) return;
  if (handshakes.size() >= kMaxWaitingHandshakes) {
    ++counters.limited;
    return;
  }
  Waiting& waiting = handshakes.emplace_back();
  std::copy(message.begin(), message.end(), waiting.message.begin());
  waiting.type = type;
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
  if (admitted || limiter->allow(source.ip, now())) return true;
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
    try {
      run_handshake(waiting);
    } catch (const std::bad_alloc&) {
      ++counters.limited;  // whoever it was asks again; the others are not kept waiting
    }
  }
}

void Device::Impl::run_handshake(const Waiting& waiting) {
  if (waiting.type == MessageType::initiation) return open_initiation(waiting);
  const ByteView message = ByteView(waiting.message).first(kResponseSize);
  auto* known = static_cast<Peer*>(indices.find(receiver_index(message, MessageType::response)));
  if (known) known->response_received(message, waiting.from);
}

void Device::Impl::open_initiation(const Waiting& waiting) {
  auto opened = OpenedInitiation::open(*options.identity, waiting.message, around.rng);
  if (!opened) {
    ++counters.malformed;
    return;
  }
  const unsigned home = home_of(opened->peer(), options.shards);
  if (home != options.shard) return hand_to(home, waiting.message, waiting.from, 0, true);
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
  // Before its timestamp counts: what somebody has relayed must not make the original an old one.
  if (const Reason reason = admission().may_shake_hands(waiting.from.connection(0), known->key());
      reason != Reason::none)
    return known->turn_away(waiting.from, reason);
  const Accepted accepted = known->accept(std::move(*opened), *stamp, now());
  if (accepted == Accepted::not_newer) ++counters.not_newer;
  if (accepted == Accepted::too_often) ++counters.limited;
  if (accepted != Accepted::ok) return;
  timestamp_grew(*known);
  known->initiation_accepted(waiting.from);
}

void Device::Impl::hand_to(unsigned shard, ByteView message, const Path& from, uint8_t ecn, bool counted) {
  // What is larger than any message of a peer's would only take memory on its way.
  const bool too_large = message.size() > options.mtu + kDataHeader + kPadding + kTag;
  if (!hand_over || shard == options.shard || too_large) {
    ++counters.unknown_index;
    return;
  }
  hand_over(shard, {from, ecn, counted}, message);
}

}  // namespace smartvpn::wireguard
