// The timers of a peer (white paper, section 6; the kernel's where the paper is silent): when keys are renewed, when
// somebody who does not answer is asked again, and what keeps a NAT open. Nothing here reads a clock.
#include "transport/wireguard/peer_handshakes.hpp"

namespace smartvpn::wireguard {

Duration PeerMachine::jitter() noexcept {
  const auto range = static_cast<uint64_t>(timing_.rekey_jitter.count());
  return range == 0 ? Duration{0} : Duration(static_cast<int64_t>(shared_.rng->u64() % range));
}

// Something authentic has gone either way: a NAT on the path has seen it.
void PeerMachine::traversed(Time now) noexcept {
  if (timing_.persistent_keepalive > Duration{0}) persistent_at_ = now + timing_.persistent_keepalive;
}

Actions PeerMachine::set_persistent_keepalive(Duration interval, Time now) {
  Actions actions;
  const bool turned_on = timing_.persistent_keepalive == Duration{0} && interval > Duration{0};
  timing_.persistent_keepalive = interval;
  persistent_at_ = interval > Duration{0} ? now + interval : kNever;
  actions.keepalive = turned_on;
  return actions;
}

// True: an initiation is due now. A new attempt, unless it is a retry, has all its tries before it.
bool PeerMachine::begin(Time now, bool retry) noexcept {
  if (!retry) tries_ = 0;
  return may_initiate(now);
}

Actions PeerMachine::want_session(Time now) noexcept {
  Actions actions;
  // While an attempt is under way its own timer goes on with it.
  if (retry_at_ != kNever) {
    tries_ = 0;
    return actions;
  }
  actions.initiate = begin(now, false);
  // A response of ours went out a moment ago: if nothing comes of it, it is our turn.
  if (!actions.initiate) retry_at_ = last_sent_handshake_ + timing_.rekey_timeout + jitter();
  return actions;
}

void PeerMachine::freshen_after_send(const Keypair& keys, Time now, Actions& actions) noexcept {
  const bool used_up = keys.next_counter >= kRekeyAfterMessages;
  const bool old = keys.initiator && now - keys.born >= timing_.rekey_after;
  if ((used_up || old) && retry_at_ == kNever) actions.initiate |= begin(now, false);
}

// Whoever only receives would not notice that the keys grow old.
void PeerMachine::freshen_after_receive(const Keypair& keys, Time now, Actions& actions) noexcept {
  const Duration age = timing_.reject_after - timing_.keepalive_timeout - timing_.rekey_timeout;
  if (!keys.initiator || last_minute_ || now - keys.born < age) return;
  last_minute_ = true;
  if (retry_at_ == kNever) actions.initiate |= begin(now, false);
}

PeerMachine::Received PeerMachine::on_received(Keypair& keys, bool payload, Time now) noexcept {
  Received out;
  if (&keys == next_.get()) {
    promote();
    out.confirmed = true;
    out.rtt = last_rtt_ = now - response_sent_;
    last_handshake_ = now;
    retry_at_ = kNever;
    tries_ = 0;
    last_minute_ = false;
  }
  if (&keys == current_.get()) freshen_after_receive(keys, now, out.actions);
  answer_at_ = kNever;
  traversed(now);
  if (payload && keepalive_at_ == kNever) keepalive_at_ = now + timing_.keepalive_timeout;
  return out;
}

Actions PeerMachine::on_sent(Keypair& keys, bool payload, Time now) noexcept {
  Actions actions;
  keepalive_at_ = kNever;
  traversed(now);
  if (payload && answer_at_ == kNever) answer_at_ = now + timing_.keepalive_timeout + timing_.rekey_timeout + jitter();
  freshen_after_send(keys, now, actions);
  return actions;
}

Time PeerMachine::next_deadline() const noexcept {
  return std::min({retry_at_, answer_at_, keepalive_at_, persistent_at_, forget_at_});
}

Actions PeerMachine::on_time(Time now) noexcept {
  Actions actions;
  if (now >= retry_at_) {
    retry_at_ = kNever;
    if (tries_ >= static_cast<uint32_t>(timing_.rekey_attempt / timing_.rekey_timeout)) {
      // Nobody is there. What comes next begins anew.
      actions.give_up = true;
      tries_ = 0;
      keepalive_at_ = kNever;
      if (forget_at_ == kNever) forget_at_ = now + timing_.forget_after();
    } else {
      ++tries_;
      actions.initiate = begin(now, true);
      if (!actions.initiate) retry_at_ = last_sent_handshake_ + timing_.rekey_timeout + jitter();
    }
  }
  if (now >= answer_at_) {
    answer_at_ = kNever;
    actions.initiate |= retry_at_ == kNever && begin(now, false);
  }
  if (now >= keepalive_at_) {
    actions.keepalive = true;
    keepalive_at_ = kNever;
  }
  if (now >= persistent_at_) {
    actions.keepalive = true;
    persistent_at_ = now + timing_.persistent_keepalive;
  }
  if (now >= forget_at_) {
    // An attempt that is under way goes on: it may have begun just before a timer that a suspension made late.
    if (retry_at_ == kNever) end_session();
    forget_keys();
    actions.keys_wiped = true;
  }
  return actions;
}

}  // namespace smartvpn::wireguard
