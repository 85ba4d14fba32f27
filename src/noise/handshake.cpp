// IK and IKpsk2, token by token as the patterns are written in the Noise specification. A psk
// handshake also mixes every ephemeral into the key (section 9.2).
#include "noise/handshake.hpp"

namespace smartvpn::noise {

const char* protocol_name(Pattern pattern) noexcept {
  return pattern == Pattern::ik ? "Noise_IK_25519_ChaChaPoly_BLAKE2s" : "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
}

Handshake::Handshake(Rng& rng, const crypto::KeyPair& own, Pattern pattern, bool initiator) noexcept
    : rng_(&rng), own_(&own), symmetric_(protocol_name(pattern)), pattern_(pattern), initiator_(initiator) {}

Handshake::Handshake(const Handshake& other) noexcept
    : rng_(other.rng_),
      own_(other.own_),
      symmetric_(other.symmetric_.clone()),
      ephemeral_{other.ephemeral_.secret.clone(), other.ephemeral_.pub},
      their_ephemeral_(other.their_ephemeral_),
      their_static_(other.their_static_),
      pattern_(other.pattern_),
      initiator_(other.initiator_),
      stage_(other.stage_) {
  if (other.psk_) psk_ = other.psk_->clone();
}

void Handshake::mix_hash(ByteView bytes) noexcept {
  if (stage_ == Stage::message1 || stage_ == Stage::message2) symmetric_.mix_hash(bytes);
}

void Handshake::set_psk(const SecretKey& psk) noexcept { psk_ = psk.clone(); }

std::optional<TransportKeys> Handshake::split() noexcept {
  if (stage_ != Stage::finished) return std::nullopt;
  stage_ = Stage::split;
  TransportKeys keys;
  if (initiator_)
    symmetric_.split(keys.send, keys.recv);
  else
    symmetric_.split(keys.recv, keys.send);
  symmetric_.wipe();
  return keys;
}

bool Handshake::mix_dh(const SecretKey& secret, const PublicKey& theirs) noexcept {
  SecretKey shared;
  if (!crypto::x25519(shared.span(), secret, theirs)) return false;
  symmetric_.mix_key(shared.view());
  return true;
}

void Handshake::mix_ephemeral(const PublicKey& key) noexcept {
  symmetric_.mix_hash(key);
  if (pattern_ == Pattern::ikpsk2) symmetric_.mix_key(key);
}

bool Handshake::mix_psk() noexcept {
  if (pattern_ == Pattern::ik) return true;
  if (!psk_) return false;
  symmetric_.mix_key_and_hash(psk_->view());
  return true;
}

// Ephemeral and preshared keys are needed no more once both messages are done.
bool Handshake::finish() noexcept {
  ephemeral_.secret.clear();
  psk_.reset();
  stage_ = Stage::finished;
  return true;
}

bool Handshake::fail() noexcept {
  symmetric_.wipe();
  ephemeral_.secret.clear();
  psk_.reset();
  stage_ = Stage::failed;
  return false;
}

Initiator::Initiator(Rng& rng, const crypto::KeyPair& own, const PublicKey& responder, ByteView prologue,
                     Pattern pattern) noexcept
    : Handshake(rng, own, pattern, true) {
  their_static_ = responder;
  symmetric_.mix_hash(prologue);
  symmetric_.mix_hash(responder);
}

bool Initiator::write_message(ByteView payload, Bytes& out) {
  if (stage_ != Stage::message1 || payload.size() > kMaxMessage - kMessage1Overhead) return fail();
  const size_t start = out.size();
  out.reserve(start + kMessage1Overhead + payload.size());
  ephemeral_ = crypto::generate_key_pair(*rng_);
  append(out, ephemeral_.pub);
  mix_ephemeral(ephemeral_.pub);
  bool ok = mix_dh(ephemeral_.secret, their_static_) &&     // es
            symmetric_.encrypt_and_hash(own_->pub, out) &&  // s
            mix_dh(own_->secret, their_static_) &&          // ss
            symmetric_.encrypt_and_hash(payload, out);
  if (!ok) {
    out.resize(start);
    return fail();
  }
  stage_ = Stage::message2;
  return true;
}

bool Initiator::read_message(ByteView message, Bytes& payload) {
  payload.clear();
  if (stage_ != Stage::message2 || message.size() < kMessage2Overhead || message.size() > kMaxMessage) return fail();
  std::copy_n(message.begin(), their_ephemeral_.size(), their_ephemeral_.begin());
  mix_ephemeral(their_ephemeral_);
  bool ok = mix_dh(ephemeral_.secret, their_ephemeral_) &&  // ee
            mix_dh(own_->secret, their_ephemeral_) &&       // se
            mix_psk() && symmetric_.decrypt_and_hash(message.subspan(their_ephemeral_.size()), payload);
  return ok ? finish() : fail();
}

Responder::Responder(Rng& rng, const crypto::KeyPair& own, ByteView prologue, Pattern pattern) noexcept
    : Handshake(rng, own, pattern, false) {
  symmetric_.mix_hash(prologue);
  symmetric_.mix_hash(own.pub);
}

std::optional<PublicKey> Responder::read_static(ByteView message) {
  bool ok = stage_ == Stage::message1 && message.size() >= kMessage1Overhead && message.size() <= kMaxMessage;
  Bytes their_static;
  if (ok) {
    constexpr size_t kEphemeral = 32, kStatic = 48;
    std::copy_n(message.begin(), kEphemeral, their_ephemeral_.begin());
    mix_ephemeral(their_ephemeral_);
    ok = mix_dh(own_->secret, their_ephemeral_) &&                                         // es
         symmetric_.decrypt_and_hash(message.subspan(kEphemeral, kStatic), their_static);  // s
    payload_ciphertext_.assign(message.begin() + kEphemeral + kStatic, message.end());
  }
  if (!ok) {
    fail();
    return std::nullopt;
  }
  std::copy_n(their_static.begin(), their_static_.size(), their_static_.begin());
  stage_ = Stage::payload1;
  return their_static_;
}

bool Responder::read_payload(Bytes& payload, const SecretKey* shared) {
  payload.clear();
  bool ok = stage_ == Stage::payload1;
  if (ok && shared)
    symmetric_.mix_key(shared->view());  // ss
  else
    ok = ok && mix_dh(own_->secret, their_static_);
  ok = ok && symmetric_.decrypt_and_hash(payload_ciphertext_, payload);
  Bytes().swap(payload_ciphertext_);
  if (!ok) return fail();
  stage_ = Stage::message2;
  return true;
}

bool Responder::read_message(ByteView message, Bytes& payload) {
  payload.clear();
  return read_static(message) && read_payload(payload);
}

bool Responder::write_message(ByteView payload, Bytes& out) {
  if (stage_ != Stage::message2 || payload.size() > kMaxMessage - kMessage2Overhead) return fail();
  const size_t start = out.size();
  out.reserve(start + kMessage2Overhead + payload.size());
  ephemeral_ = crypto::generate_key_pair(*rng_);
  append(out, ephemeral_.pub);
  mix_ephemeral(ephemeral_.pub);
  bool ok = mix_dh(ephemeral_.secret, their_ephemeral_) &&  // ee
            mix_dh(ephemeral_.secret, their_static_) &&     // se
            mix_psk() && symmetric_.encrypt_and_hash(payload, out);
  if (!ok) {
    out.resize(start);
    return fail();
  }
  return finish();
}

}  // namespace smartvpn::noise
