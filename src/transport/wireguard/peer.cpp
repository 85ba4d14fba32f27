// A peer's session in the server: admission, confirmation, movement, end (architecture: "Admission"). peer_data.cpp has
// what it sends.
#include "transport/wireguard/peer.hpp"

#include "transport/wireguard/device_impl.hpp"

namespace smartvpn::wireguard {
namespace {

// A handshake that was answered and never used.
constexpr Duration kConfirmWithin = seconds(15);

}  // namespace

Peer::Peer(Device::Impl& device, const PeerSettings& settings)
    : PeerMachine(device.shared, settings.key, settings.psk.get(), device.options.timing),
      device_(device),
      client_number_(settings.client_number),
      timer_(device.around.loop, [this] { on_timer(); }) {
  set_greatest_timestamp(settings.greatest_timestamp);
  if (settings.persistent_keepalive > Duration{0}) set_persistent_keepalive(settings.persistent_keepalive, now());
  configured_ = settings.endpoint;
  path_ = configured_path();
  arm();
}

// Where it is before it was heard of; null: not known.
std::unique_ptr<Path> Peer::configured_path() const {
  if (!configured_) return nullptr;
  auto path = std::make_unique<Path>();
  path->listener = device_.listener_for(*configured_);
  path->peer = *configured_;
  path->real = *configured_;
  return path;
}

Peer::~Peer() {
  device_.sender.forget(part_);
  device_.receiver.forget(*this);
}

Time Peer::now() const noexcept { return device_.now(); }

void Peer::change(const PeerSettings& settings) {
  set_greatest_timestamp(settings.greatest_timestamp);
  set_psk(settings.psk.get());
  client_number_ = settings.client_number;
  if (settings.persistent_keepalive != persistent_keepalive())
    act(set_persistent_keepalive(settings.persistent_keepalive, now()));
  // Where it is already, there it stays, and by the way that leads there.
  const bool new_place = std::exchange(configured_, settings.endpoint) != settings.endpoint && configured_;
  if (new_place && !(path_ && path_->peer == *configured_)) path_ = configured_path();
  arm();
}

// Phase 1 for what may become a session.
Reason Peer::open_connection(const Path& from) {
  auto live = std::make_unique<Live>();
  live->connection = from.connection(device_.around.next_connection_id++);
  live->initiation = from;
  if (!path_) live->place = std::make_unique<Path>();
  live->tentative_until = now() + kConfirmWithin;
  device_.by_connection.emplace(live->connection.id, this);
  live_ = std::move(live);
  Reason reason = device_.admission().on_accept(live_->connection);
  if (reason == Reason::none) reason = device_.admission().on_real_address(live_->connection);
  return reason;
}

// An initiation that was not taken. Of who is there it ends nothing; else it is told as a connection that was refused.
void Peer::turn_away(const Path& from, Reason reason) noexcept {
  ++device_.counters.blocked_source;
  if (live_) return;
  try {
    if (const Reason earlier = open_connection(from); earlier != Reason::none) reason = earlier;
  } catch (const std::bad_alloc&) {
    reason = Reason::out_of_memory;
  }
  leave(reason);
}

void Peer::initiation_accepted(const Path& from) noexcept {
  // A handshake can be relayed by whoever hears it: from where the client may not be it ends no session.
  try {
    if (device_.draining && session() == 0) return forget_initiation();
    if (session() != 0 && !may_come_from(from)) return forget_initiation();
    ask_admission(from);
  } catch (const std::bad_alloc&) {
    forget_initiation();
    if (session() == 0) end(Reason::out_of_memory);
  }
  arm();
}

void Peer::ask_admission(const Path& from) {
  session::Identity identity;
  identity.static_key = key();
  identity.rekey = session() != 0;
  if (live_ && !identity.rekey && !from.same_source(live_->initiation)) leave(Reason::replaced);
  if (live_) {
    live_->initiation = from;
    live_->tentative_until = identity.rekey ? kNever : now() + kConfirmWithin;
  } else if (Reason reason = open_connection(from); reason != Reason::none) {
    return refuse(reason);
  }
  if (live_->waits_for_verdict) return;  // it is about this one, too
  const session::Connection there = from.connection(live_->connection.id);
  auto verdict = device_.admission().on_identity(there, identity);
  if (verdict) return decide(*verdict);
  live_->waits_for_verdict = true;
  live_->tentative_until = kNever;  // the host's time is not the client's
}

void Peer::decide(const session::IdentityVerdict& verdict) noexcept {
  if (!live_) return;
  live_->waits_for_verdict = false;
  if (verdict.reason != Reason::none) return refuse(verdict.reason);
  if (session() == 0) live_->tentative_until = now() + kConfirmWithin;
  try {
    if (std::exchange(live_->by_us, false)) return confirm(Path(live_->initiation), false);
    respond();
  } catch (const std::bad_alloc&) {
    end(Reason::out_of_memory);
  }
  arm();
}

// Silence is the answer. A live session whose client may not stay ends with it.
void Peer::refuse(Reason reason) noexcept {
  forget_initiation();
  end(reason);
}

void Peer::respond() noexcept {
  try {
    const auto message = PeerMachine::respond(now());
    if (!message) return;
    ++device_.counters.responses_out;
    live_->bytes_out += message->size();
    ++live_->messages_out;
    device_.send_message(*message, live_->initiation);
  } catch (const std::bad_alloc&) {
    // The peer will ask again.
  }
  arm();
}

// Ours was answered: the keys are good, and now it is asked whether there may be a session.
void Peer::response_received(ByteView message, const Path& from) noexcept {
  if (session() != 0 && !may_come_from(from)) return;
  try {
    take_answer(message, from);
  } catch (const std::bad_alloc&) {
    if (session() == 0) end(Reason::out_of_memory);
  }
  arm();
}

void Peer::take_answer(ByteView message, const Path& from) {
  if (device_.admission().may_shake_hands(from.connection(0), key()) != Reason::none) {
    ++device_.counters.blocked_source;
    return;
  }
  Actions actions;
  if (!take_response(message, now(), &actions)) {
    ++device_.counters.malformed;
    return;
  }
  session::Identity identity;
  identity.static_key = key();
  identity.rekey = session() != 0;
  if (!live_) {
    if (Reason reason = open_connection(from); reason != Reason::none) return refuse(reason);
  }
  live_->initiation = from;
  live_->by_us = true;
  if (live_->waits_for_verdict) return;  // both have begun at once; it is about this one, too
  const session::Connection there = from.connection(live_->connection.id);
  auto verdict = device_.admission().on_identity(there, identity);
  if (!verdict) {
    live_->waits_for_verdict = true;
    live_->tentative_until = kNever;
    return;
  }
  decide(*verdict);
}

// Keys stand that the peer has shown to have.
// The endpoint follows data alone: what somebody has relayed of a handshake must not lead us to them.
void Peer::confirm(const Path& from, bool by_data) {
  last_handshake_ms_ = wall_clock_ms();
  live_->tentative_until = kNever;
  if (live_->session == 0) {
    live_->connection = from.connection(live_->connection.id);
    Reason why = Reason::internal_error;
    uint64_t session = 0;
    try {
      session = device_.around.host.on_confirmed(live_->connection, *this, &why);
    } catch (const std::bad_alloc&) {
      why = Reason::out_of_memory;
    }
    if (session == 0) return end(why);
    if (!live_) return;  // it was closed from in there
    live_->session = session;
  }
  if (by_data) move_to(from);
  if (last_rtt() >= Duration{0}) device_.around.host.on_rtt(live_->session, last_rtt(), now());
  if (!live_) return;
  flush_waiting();
  const Keypair* keys = live_ ? sending_keys(now()) : nullptr;
  // Whoever has begun the handshake speaks first: the other side may not use its keys before.
  if (keys && keys->initiator && keys->next_counter == 0 && part_.segments == 0) send_keepalive();
  arm();
}

bool Peer::may_come_from(const Path& from) noexcept {
  if (!live_) return false;
  const session::Connection& known = live_->connection;
  if (from.is_of(known)) return true;
  try {
    if (device_.admission().may_roam(from.connection(known.id)) == Reason::none) return true;
  } catch (const std::bad_alloc&) {
  }
  ++device_.counters.blocked_source;
  return false;
}

bool Peer::authentic(Keypair& keys, const Path& from, bool payload, uint64_t messages, uint64_t outer) {
  live_->bytes_in += outer;
  live_->messages_in += messages;
  live_->last_heard = now();
  const Received received = on_received(keys, payload, now());
  if (received.confirmed && !live_->waits_for_verdict) confirm(from, true);
  if (!live_) return false;
  if (live_->session != 0) move_to(from);
  if (live_ && std::exchange(live_->silent, false)) device_.around.host.on_silence(live_->session, false);
  act(received.actions);
  arm();
  return session() != 0;
}

void Peer::move_to(const Path& from) {
  if (!path_) {
    path_ = std::move(live_->place);
    *path_ = from;
  } else if (path_->same_source(from)) {
    path_->local = from.local;
    path_->interface = from.interface;
  } else {
    *path_ = from;
  }
  session::Connection& connection = live_->connection;
  if (from.is_of(connection)) return;
  connection = from.connection(connection.id);
  device_.around.host.on_roamed(live_->session, connection);
}

// Whom silence has taken away can be called back. Whom somebody has sent away may come by itself.
void Peer::end(Reason reason) noexcept {
  const bool was_session = session() != 0;
  end_session();
  leave(reason);
  // What never became a session, or ran out of something, says nothing about who may be called.
  if (!was_session || reason == Reason::peer_timeout || reason == Reason::out_of_memory || !path_) return;
  if (!configured_) return path_.reset();
  path_->peer = *configured_;
  path_->real = configured_;
  path_->local = {};
  path_->interface = 0;
}

void Peer::leave(Reason reason) noexcept {
  give_up_waiting();
  drop(Drop::session_not_ready, device_.sender.forget(part_));
  if (!live_) return;
  const std::unique_ptr<Live> gone = std::move(live_);
  total_in_ += gone->bytes_in;
  total_out_ += gone->bytes_out;
  if (gone->queue && gone->session != 0)
    device_.around.host.on_drop(gone->session, Drop::session_not_ready, gone->queue->clear());
  device_.by_connection.erase(gone->connection.id);
  // The link is asked for its last figures in there.
  leaving_ = gone.get();
  device_.admission().on_closed(gone->connection, reason, {});
  leaving_ = nullptr;
  arm();
}

// Whoever has just been answered has the time to confirm it.
Time Peer::session_deadline() const noexcept {
  const Time end = last_handshake() + device_.options.session_timeout;
  return unconfirmed_since() == Time{} ? end : std::max(end, unconfirmed_since() + kConfirmWithin);
}

Time Peer::deadline() const noexcept {
  Time out = next_deadline();
  if (!live_) return out;
  out = std::min(out, live_->tentative_until);
  if (live_->session != 0) out = std::min(out, session_deadline());
  if (live_->queue) out = std::min(out, live_->queue->next_release());
  return out;
}

// The timer may stand earlier than need be: then it looks again.
void Peer::arm() noexcept {
  const Time at = deadline();
  if (at < timer_.deadline()) timer_.start_at(at);
}

void Peer::on_timer() {
  const Time time = now();
  if (live_ && time >= live_->tentative_until) {
    end(Reason::handshake_timeout);
  } else if (session() != 0 && time >= session_deadline()) {
    end(Reason::peer_timeout);
  }
  const Actions actions = on_time(time);
  const bool unanswered = actions.initiate || actions.give_up;
  if (unanswered && session() != 0 && !std::exchange(live_->silent, true))
    device_.around.host.on_silence(live_->session, true);
  act(actions);
  if (live_ && live_->queue) {
    live_->queue->look_at_gate(time);
    if (live_->queue->ready(time)) device_.sender.put_in_backlog(part_);
  }
  arm();
}

PeerFigures Peer::peer_figures() const {
  PeerFigures out;
  out.key = key();
  if (path_) out.endpoint = path_->peer;
  out.last_handshake_ms = last_handshake_ms_;
  out.bytes_in = total_in_ + (live_ ? live_->bytes_in : 0);
  out.bytes_out = total_out_ + (live_ ? live_->bytes_out : 0);
  out.persistent_keepalive = persistent_keepalive();
  out.greatest_timestamp = greatest_timestamp();
  out.live = session() != 0;
  return out;
}

}  // namespace smartvpn::wireguard
