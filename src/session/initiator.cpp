// The dialling end; see the header file.
#include "session/initiator.hpp"

#include <algorithm>

namespace smartvpn::session {

Initiator::Initiator(const InitiatorConfig& config, InitiatorHandler& handler, crypto::AeadEngine& engine,
                     PacketPool& pool, Rng& rng) noexcept
    : SessionMachine(DataChannel::Role::initiator, config, handler, engine, pool, rng),
      initiator_handler_(handler),
      static_key_(config.static_key),
      wanted_addresses_(config.wanted_addresses),
      wanted_mtu_(config.wanted_mtu),
      keepalive_interval_(config.keepalive_interval),
      server_key_(config.server_key) {}

void Initiator::start(Time now) noexcept {
  state_ = State::waiting_hello;
  step_deadline_ = now + config_.timing.handshake_timeout;
}

size_t Initiator::max_incoming() const noexcept {
  return established() ? kHeaderSize + config_.max_plaintext + kTagSize : kMaxResponse;
}

void Initiator::on_handshake_message(const MessageHeader& header, ByteView message, Time now) {
  if (header.type == MessageType::hello) return read_hello(header, message, now);
  if (header.type == MessageType::response) return read_response(header, message, now);
  violation(Drop::unknown_message, now);
}

// ---- message 1 ----

void Initiator::read_hello(const MessageHeader& header, ByteView message, Time now) {
  if (state_ != State::waiting_hello || header.receiver != 0 || header.counter != 0 ||
      message.size() != kHeaderSize + kChallengeSize)
    return violation(Drop::unknown_message, now);
  state_ = State::waiting_response;
  // The server may ask somebody else before it answers.
  step_deadline_ = now + config_.timing.verdict_timeout;
  begin(message.subspan<kHeaderSize, kChallengeSize>(), now);
}

void Initiator::begin(std::span<const uint8_t, 32> binding, Time now) {
  pending_ = std::make_unique<Pending>();
  pending_->noise.emplace(rng_, *static_key_, server_key_, prologue(binding));
  pending_->local_index = fresh_index();
  Bytes message(kHeaderSize), plain;
  write_header(message.data(), {MessageType::initiation, pending_->local_index, 0});
  pending_->noise->mix_hash(message);

  InitiationPayload payload;
  payload.capabilities = config_.super_packets ? kCapSuperPackets : 0;
  payload.max_plaintext = config_.max_plaintext;
  payload.wanted_mtu = wanted_mtu_;
  payload.wanted_addresses = wanted_addresses_;
  if (!encode(payload, plain) || !pending_->noise->write_message(plain, message))
    return close(Reason::internal_error, now);
  queue_handshake(message, now);
}

// ---- message 2 ----

void Initiator::read_response(const MessageHeader& header, ByteView message, Time now) {
  const bool ours = pending_ && header.receiver == pending_->local_index;
  // An answer to an attempt we gave up is harmless once there is a session.
  if (!ours && established()) return handler_.on_drop(Drop::unknown_message, 1);
  if (!ours) return violation(Drop::unknown_message, now);
  const std::unique_ptr<Pending> pending = std::move(pending_);

  KeyMaterial material;
  material.local_index = pending->local_index;
  material.remote_index = static_cast<uint32_t>(header.counter);
  material.born = now;
  if (header.counter == 0 || header.counter > UINT32_MAX || message.size() > kMaxResponse)
    return violation(Drop::unknown_message, now);
  pending->noise->mix_hash(message.first(kHeaderSize));
  Bytes plain;
  if (!pending->noise->read_message(message.subspan(kHeaderSize), plain)) return violation(Drop::decrypt_failed, now);
  material.hash = pending->noise->handshake_hash();
  auto keys = pending->noise->split();
  auto payload = decode_response(plain);
  if (!keys || !payload || payload->version > kProtocolVersion) return violation(Drop::malformed_record, now);
  material.keys = std::move(*keys);
  accept(*payload, std::move(material), now);
}

void Initiator::accept(const ResponsePayload& payload, KeyMaterial&& material, Time now) {
  mark_authenticated();
  if (payload.status != HandshakeStatus::ok) {
    CloseInfo info;
    info.reason = reason_for(payload.status);
    info.by_peer = true;
    info.status = payload.status;
    info.retry_after_s = payload.retry_after_s;
    info.reconnect = reconnect_after(payload.status);
    return finish(info, false, now);
  }
  if (!install_keys(std::move(material))) return close(Reason::out_of_memory, now);
  rekeying_ = false;
  // The server uses the new keys only after it has opened something under them.
  control_.add_ping();
  if (established()) return heard(now);
  parameters_ = payload.parameters;
  apply(parameters_);
  mark_established(now);
  state_ = State::configured;
  step_deadline_ = kNever;
  initiator_handler_.on_configured(parameters_);
}

void Initiator::apply(const SessionParameters& parameters) noexcept {
  // The server takes both by now; once it has given up the present one, this session rekeys all the same.
  if (parameters.next_server_key) server_key_ = *parameters.next_server_key;
  keepalive_.set_interval(keepalive_interval_.value_or(parameters.keepalive_interval));
  set_peer(parameters.capabilities, parameters.max_plaintext, parameters.mtu);
}

// ---- afterwards ----

void Initiator::on_new_keys(Time) {
  if (state_ != State::configured) return;
  state_ = State::confirmed;
  initiator_handler_.on_confirmed();
}

void Initiator::on_configuration(const SessionParameters& parameters) {
  parameters_ = parameters;
  apply(parameters_);
  initiator_handler_.on_reconfigured(parameters_);
}

Time Initiator::rekey_at() const noexcept {
  const Timing& timing = config_.timing;
  if (rekeying_) return last_attempt_ + timing.rekey_retry;
  return channel_.born() + (channel_.used_up() ? timing.rekey_min_gap : timing.rekey_after);
}

Time Initiator::give_up_at() const noexcept {
  const Timing& timing = config_.timing;
  if (!rekeying_) return kNever;
  return std::max(channel_.born() + timing.reject_after + timing.rekey_grace, first_attempt_ + 2 * timing.rekey_retry);
}

Time Initiator::role_deadline() const noexcept {
  return established() ? std::min(rekey_at(), give_up_at()) : step_deadline_;
}

void Initiator::role_tick(Time now) {
  if (!established()) {
    if (now >= step_deadline_) fail(Reason::handshake_timeout, now);
    return;
  }
  if (now >= give_up_at()) return close(Reason::rekey_timeout, now);
  if (now < rekey_at()) return;
  if (!rekeying_) first_attempt_ = now;
  rekeying_ = true;
  last_attempt_ = now;
  begin(channel_.hash(), now);
}

}  // namespace smartvpn::session
