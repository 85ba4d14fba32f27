// The server's end; see the header file.
#include "session/responder.hpp"

#include <algorithm>
#include <new>

namespace smartvpn::session {

Responder::Responder(const ResponderConfig& config, ResponderHandler& handler, crypto::AeadEngine& engine,
                     PacketPool& pool, Rng& rng) noexcept
    : SessionMachine(DataChannel::Role::responder, config, handler, engine, pool, rng),
      responder_handler_(handler),
      keys_(config.keys) {}

void Responder::start(Time now) noexcept {
  rng_.fill(challenge_);
  std::array<uint8_t, kHeaderSize + kChallengeSize> hello;
  write_header(hello.data(), {MessageType::hello, 0, 0});
  std::copy(challenge_.begin(), challenge_.end(), hello.begin() + kHeaderSize);
  state_ = State::greeted;
  step_deadline_ = now + config_.timing.handshake_timeout;
  queue_handshake(hello, now);
}

size_t Responder::max_incoming() const noexcept {
  const bool stranger = state_ == State::idle || state_ == State::greeted || state_ == State::deciding;
  return stranger ? kMaxInitiation : kHeaderSize + config_.max_plaintext + kTagSize;
}

// ---- message 1 ----

void Responder::on_handshake_message(const MessageHeader& header, ByteView message, Time now) {
  const bool rekey = state_ == State::confirmed;
  if (header.type != MessageType::initiation || (!rekey && state_ != State::greeted))
    return violation(Drop::unknown_message, now);
  if (rekey && pending_) return handler_.on_drop(Drop::unknown_message, 1);
  if (rekey && !may_rekey(now)) return handler_.on_drop(Drop::rate_limit, 1);
  last_handshake_ = now;

  const Reason reason = read_initiation(header, message);
  if (reason == Reason::none) return ask_owner(now);
  pending_.reset();
  if (!rekey) return fail(reason, now);
  close(reason == Reason::unknown_client ? reason : Reason::protocol_error, now);
}

bool Responder::may_rekey(Time now) const noexcept { return now - last_handshake_ >= config_.timing.rekey_min_gap; }

Reason Responder::read_initiation(const MessageHeader& header, ByteView message) {
  if (message.size() > kMaxInitiation || header.receiver == 0 || header.counter != 0) return Reason::handshake_failed;
  pending_ = std::make_unique<Pending>();
  pending_->keys = keys_;
  pending_->remote_index = header.receiver;
  auto claimed = read_static(*pending_, message);
  if (!claimed) return Reason::handshake_failed;
  pending_->client_key = *claimed;

  // Whoever it is costs the same exchanges, so that the time taken does not tell a registered key from
  // another (a precomputed secret is there for everybody or nobody); the payload itself is looked at only if the
  // key is known.
  const bool known = responder_handler_.on_static_key(*claimed);
  Bytes payload;
  const bool proven =
      pending_->noise->read_payload(payload, responder_handler_.shared_secret(pending_->noise->own_public(), *claimed));
  if (!known) return Reason::unknown_client;
  if (!proven) return Reason::handshake_failed;
  auto decoded = decode_initiation(payload);
  if (!decoded) return Reason::handshake_failed;
  pending_->payload = std::move(*decoded);
  return Reason::none;
}

std::optional<PublicKey> Responder::read_static(Pending& pending, ByteView message) {
  const auto& binding = state_ == State::confirmed ? channel_.hash() : challenge_;
  auto try_key = [&](const crypto::KeyPair& own) {
    pending.noise.emplace(rng_, own, prologue(binding));
    pending.noise->mix_hash(message.first(kHeaderSize));
    return pending.noise->read_static(message.subspan(kHeaderSize));
  };
  auto found = try_key(pending.keys->current);
  if (!found && pending.keys->next) found = try_key(*pending.keys->next);
  return found;
}

void Responder::ask_owner(Time now) {
  Identity identity;
  identity.static_key = pending_->client_key;
  identity.wanted_addresses = pending_->payload.wanted_addresses;
  identity.wanted_mtu = pending_->payload.wanted_mtu;
  identity.capabilities = pending_->payload.capabilities;
  identity.rekey = state_ == State::confirmed;
  if (identity.rekey) {
    heard(now);
  } else {
    mark_authenticated();
    state_ = State::deciding;
    step_deadline_ = now + config_.timing.verdict_timeout;
  }
  if (!closed_) responder_handler_.on_identity(identity);
}

// ---- message 2 ----

void Responder::decide(const IdentityVerdict& verdict, Time now) noexcept {
  if (closed_ || !pending_) return;
  try {
    answer(verdict, now);
  } catch (const std::bad_alloc&) {
    close(Reason::out_of_memory, now);
  }
}

void Responder::answer(const IdentityVerdict& verdict, Time now) {
  const bool rekey = state_ == State::confirmed;
  const std::unique_ptr<Pending> pending = std::move(pending_);
  if (is_uniform_failure(verdict.reason)) return rekey ? close(verdict.reason, now) : fail(verdict.reason, now);

  ResponsePayload payload;
  payload.status = status_for(verdict.reason);
  payload.version = std::min(kProtocolVersion, pending->payload.version);
  payload.retry_after_s = verdict.retry_after_s;
  if (payload.status == HandshakeStatus::ok && !rekey)
    payload.parameters = make_parameters(verdict.grant, pending->payload);

  KeyMaterial material;
  material.local_index = fresh_index();
  material.remote_index = pending->remote_index;
  material.born = now;
  Bytes message(kHeaderSize), plain;
  write_header(message.data(), {MessageType::response, pending->remote_index, material.local_index});
  pending->noise->mix_hash(message);
  const bool written = encode(payload, rekey, plain) && pending->noise->write_message(plain, message);
  if (!written || message.size() > kMaxResponse) return close(Reason::internal_error, now);
  queue_handshake(message, now);
  if (closed_) return;

  if (payload.status != HandshakeStatus::ok) {
    CloseInfo info;
    info.reason = verdict.reason;
    info.status = payload.status;
    info.retry_after_s = verdict.retry_after_s;
    info.reconnect = reconnect_after(payload.status);
    return finish(info, false, now);
  }
  auto keys = pending->noise->split();
  material.hash = pending->noise->handshake_hash();
  if (!keys) return close(Reason::internal_error, now);
  material.keys = std::move(*keys);
  if (!install_keys(std::move(material))) return close(Reason::out_of_memory, now);
  if (rekey) return;
  parameters_ = std::move(payload.parameters);
  set_peer(pending->payload.capabilities, pending->payload.max_plaintext, parameters_.mtu);
  state_ = State::answered;
  step_deadline_ = now + config_.timing.handshake_timeout;
}

SessionParameters Responder::make_parameters(const Grant& grant, const InitiationPayload& payload) const {
  SessionParameters out;
  out.addresses = grant.addresses;
  out.dns = grant.dns;
  out.routes = grant.routes;
  out.mtu = payload.wanted_mtu == 0 ? grant.mtu : std::min(grant.mtu, std::max(payload.wanted_mtu, kMinMtu));
  out.keepalive_interval = config_.timing.keepalive_interval;
  out.capabilities = config_.super_packets ? kCapSuperPackets : 0;
  out.max_plaintext = config_.max_plaintext;
  if (keys_->next) out.next_server_key = keys_->next->pub;
  return out;
}

// ---- afterwards ----

void Responder::on_new_keys(Time now) {
  if (state_ != State::answered) return;
  state_ = State::confirmed;
  step_deadline_ = kNever;
  mark_established(now);
  Reason why = Reason::internal_error;
  session_id_ = responder_handler_.on_confirmed(&why);
  if (session_id_ == 0) close(why, now);
}

bool Responder::reconfigure(const SessionParameters& parameters) noexcept {
  if (closed_ || !established()) return false;
  try {
    Bytes encoded;
    if (!encode(parameters, encoded)) return false;
    if (encoded.size() + kRecordHeader + ControlQueue::kMaxOther > peer_max_plaintext()) return false;
    parameters_ = parameters;
    set_mtu(parameters.mtu);
    control_.set_configuration(std::move(encoded));
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

Time Responder::role_deadline() const noexcept {
  if (state_ != State::confirmed) return step_deadline_;
  return channel_.born() + config_.timing.reject_after + config_.timing.rekey_grace;
}

void Responder::role_tick(Time now) {
  if (now < role_deadline()) return;
  switch (state_) {
    case State::idle:
      return;
    case State::greeted:
    case State::answered:
      return fail(Reason::handshake_timeout, now);
    case State::deciding:
      return decide({Reason::authorize_timeout, 0, {}}, now);
    case State::confirmed:
      return close(liveness() == Liveness::dead ? Reason::peer_timeout : Reason::rekey_timeout, now);
  }
}

}  // namespace smartvpn::session
