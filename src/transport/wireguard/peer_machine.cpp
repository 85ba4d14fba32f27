// The handshakes of a peer in both roles and the three pairs of keys (white paper, sections 5.4 and 6.1 to 6.3). Unlike
// the kernel's, an initiation of ours and one of the peer's may be under way side by side: where both begin at once,
// both complete, and each end opens what the other sends. The timers are in peer_timers.cpp.
#include "transport/wireguard/peer_machine.hpp"

#include <new>

#include "transport/wireguard/peer_handshakes.hpp"

namespace smartvpn::wireguard {

PeerMachine::PeerMachine(const PeerShared& shared, const PublicKey& peer, const SecretKey* psk, const Timing& timing)
    : shared_(shared), peer_(peer), timing_(timing), cookie_(peer) {
  set_psk(psk);
}

PeerMachine::~PeerMachine() { end_session(); }

void PeerMachine::set_psk(const SecretKey* psk) noexcept { psk_ = psk ? psk->clone() : SecretKey{}; }

void PeerMachine::set_identity(const Identity& own) noexcept {
  end_session();
  shared_.own = &own;
  last_sent_handshake_ = Time{};  // the new key need not wait for what the former one has sent
}

void PeerMachine::release(std::unique_ptr<Keypair>& keys) noexcept {
  if (keys) shared_.indices->remove(keys->local_index);
  keys.reset();
}

void PeerMachine::forget_outgoing() noexcept {
  if (outgoing_ && outgoing_->index != 0) shared_.indices->remove(outgoing_->index);
  outgoing_.reset();
}

void PeerMachine::end_session() noexcept {
  forget_outgoing();
  incoming_.reset();
  forget_keys();
  retry_at_ = kNever;
  tries_ = 0;
}

void PeerMachine::forget_keys() noexcept {
  for (auto* keys : {&previous_, &current_, &next_}) release(*keys);
  answer_at_ = keepalive_at_ = forget_at_ = kNever;
  last_minute_ = false;
}

Accepted PeerMachine::accept(OpenedInitiation opened, const Tai64n& stamp, Time now) {
  if (opened.peer() != peer_) return Accepted::failed;
  if (stamp <= greatest_) return Accepted::not_newer;
  if (last_accepted_ != Time{} && now >= last_accepted_ && now - last_accepted_ < timing_.initiation_gap)
    return Accepted::too_often;
  auto incoming = std::make_unique<Incoming>(std::move(opened));
  greatest_ = stamp;
  last_accepted_ = now;
  incoming_ = std::move(incoming);
  return Accepted::ok;
}

void PeerMachine::forget_initiation() noexcept { incoming_.reset(); }

std::unique_ptr<Keypair> PeerMachine::make_keys(noise::Handshake& handshake, uint32_t local, uint32_t remote,
                                                Time now) {
  auto keys = std::make_unique<Keypair>();
  auto transport = handshake.split();
  if (!transport) return nullptr;
  keys->send = crypto::AeadKey(std::move(transport->send));
  keys->recv = crypto::AeadKey(std::move(transport->recv));
  keys->local_index = local;
  keys->remote_index = remote;
  keys->born = now;
  return keys;
}

std::optional<std::array<uint8_t, kResponseSize>> PeerMachine::respond(Time now) {
  if (!incoming_) return std::nullopt;
  const std::unique_ptr<Incoming> incoming = std::move(incoming_);
  noise::Responder& handshake = incoming->opened.handshake();
  handshake.set_psk(psk_);
  Bytes noise_message;
  if (!handshake.write_message({}, noise_message)) return std::nullopt;
  const uint32_t local = shared_.indices->add(*this), remote = incoming->opened.sender();
  std::unique_ptr<Keypair> keys;
  try {
    keys = make_keys(handshake, local, remote, now);
  } catch (const std::bad_alloc&) {
  }
  if (!keys) {
    shared_.indices->remove(local);
    return std::nullopt;
  }
  // They may be used once the peer has shown that it has them. What waited before, and what is older, goes.
  release(next_);
  release(previous_);
  next_ = std::move(keys);

  std::array<uint8_t, kResponseSize> out{};
  store_le32(out.data(), static_cast<uint32_t>(MessageType::response));
  store_le32(out.data() + 4, local);
  store_le32(out.data() + 8, remote);
  std::copy(noise_message.begin(), noise_message.end(), out.begin() + 12);
  cookie_.add_macs(out, now);
  last_sent_handshake_ = response_sent_ = now;
  forget_at_ = now + timing_.forget_after();
  keepalive_at_ = kNever;
  answer_at_ = kNever;
  traversed(now);
  return out;
}

bool PeerMachine::may_initiate(Time now) const noexcept {
  // A clock that has gone back holds nobody up.
  return last_sent_handshake_ == Time{} || now < last_sent_handshake_ ||
         now - last_sent_handshake_ >= timing_.rekey_timeout;
}

std::optional<std::array<uint8_t, kInitiationSize>> PeerMachine::write_initiation(Time now, int64_t unix_ns) {
  if (!may_initiate(now)) return std::nullopt;
  auto outgoing = std::make_unique<Outgoing>(
      noise::Initiator(*shared_.rng, shared_.own->key, peer_, as_bytes(kPrologue), noise::Pattern::ikpsk2));
  outgoing->handshake.set_psk(psk_);
  const Tai64n stamp = tai64n(unix_ns, sent_);
  Bytes noise_message;
  // False with a key that nothing can be exchanged with: the peer will never have a session.
  if (!outgoing->handshake.write_message(stamp.bytes, noise_message)) return std::nullopt;
  forget_outgoing();
  outgoing->index = shared_.indices->add(*this);
  outgoing->sent = now;
  outgoing_ = std::move(outgoing);
  sent_ = stamp;

  std::array<uint8_t, kInitiationSize> out{};
  store_le32(out.data(), static_cast<uint32_t>(MessageType::initiation));
  store_le32(out.data() + 4, outgoing_->index);
  std::copy(noise_message.begin(), noise_message.end(), out.begin() + 8);
  cookie_.add_macs(out, now);
  last_sent_handshake_ = now;
  keepalive_at_ = kNever;
  retry_at_ = now + timing_.rekey_timeout + jitter();
  traversed(now);
  return out;
}

bool PeerMachine::take_response(ByteView message, Time now, Actions* actions) {
  if (!outgoing_ || receiver_index(message, MessageType::response) != outgoing_->index) return false;
  noise::Initiator handshake = outgoing_->handshake.clone();
  Bytes payload;
  if (!handshake.read_message(message.subspan(12, noise::kMessage2Overhead), payload)) return false;
  auto keys = make_keys(handshake, outgoing_->index, sender_index(message), now);
  if (!keys) return false;
  keys->initiator = true;
  last_rtt_ = now - outgoing_->sent;
  outgoing_.reset();  // its index lives on in the keys
  // Ours are confirmed: the peer has answered. Keys that still wait for the peer's word are good for opening only.
  release(previous_);
  previous_ = next_ ? std::move(next_) : std::move(current_);
  release(current_);
  current_ = std::move(keys);

  last_handshake_ = now;
  forget_at_ = now + timing_.forget_after();
  retry_at_ = answer_at_ = kNever;
  tries_ = 0;
  last_minute_ = false;
  traversed(now);
  actions->keepalive = true;
  return true;
}

Keypair* PeerMachine::sending_keys(Time now) noexcept {
  if (!current_ || current_->expired(now, timing_) || current_->next_counter >= kRejectAfterMessages) return nullptr;
  return current_.get();
}

Keypair* PeerMachine::receiving_keys(uint32_t index, Time now) noexcept {
  for (auto* keys : {&current_, &next_, &previous_})
    if (*keys && (*keys)->local_index == index) return (*keys)->expired(now, timing_) ? nullptr : keys->get();
  return nullptr;
}

// The peer has used the next keys: it has them.
void PeerMachine::promote() noexcept {
  release(previous_);
  previous_ = std::move(current_);
  current_ = std::move(next_);
}

bool PeerMachine::has_session(Time now) const noexcept { return current_ && !current_->expired(now, timing_); }

}  // namespace smartvpn::wireguard
