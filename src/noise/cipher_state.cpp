// CipherState: section 5.1 of the Noise specification, with the 65535-byte limit of section 3.
#include "noise/cipher_state.hpp"

#include "crypto/aead_oneshot.hpp"

namespace smartvpn::noise {

void CipherState::initialize_key(SecretKey key) noexcept {
  key_ = std::move(key);
  has_key_ = true;
  nonce_ = 0;
}

void CipherState::clear() noexcept {
  key_.clear();
  has_key_ = false;
  nonce_ = 0;
}

bool CipherState::encrypt_with_ad(ByteView ad, ByteView plaintext, Bytes& out) {
  if (plaintext.size() > kMaxMessage - (has_key_ ? crypto::kTagSize : 0)) return false;
  if (!has_key_) {
    append(out, plaintext);
    return true;
  }
  if (nonce_ == crypto::kReservedCounter) return false;
  const size_t at = out.size();
  out.resize(at + plaintext.size() + crypto::kTagSize);
  crypto::chacha20_poly1305_seal(key_.view(), crypto::counter_nonce(nonce_), ad, plaintext, out.data() + at);
  ++nonce_;
  return true;
}

bool CipherState::decrypt_with_ad(ByteView ad, ByteView ciphertext, Bytes& out) {
  if (ciphertext.size() > kMaxMessage) return false;
  if (!has_key_) {
    append(out, ciphertext);
    return true;
  }
  if (nonce_ == crypto::kReservedCounter || ciphertext.size() < crypto::kTagSize) return false;
  const size_t at = out.size();
  out.resize(at + ciphertext.size() - crypto::kTagSize);
  if (!crypto::chacha20_poly1305_open(key_.view(), crypto::counter_nonce(nonce_), ad, ciphertext, out.data() + at)) {
    out.resize(at);
    return false;
  }
  ++nonce_;
  return true;
}

}  // namespace smartvpn::noise
