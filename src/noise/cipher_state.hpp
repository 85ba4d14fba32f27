// CipherState of the Noise specification (revision 34, section 5.1) with ChaCha20-Poly1305: a key and
// a counter. Handshakes use it through SymmetricState; the data path uses crypto::AeadEngine instead.
#pragma once

#include "base/secret.hpp"

namespace smartvpn::noise {

constexpr size_t kMaxMessage = 65535;  // bytes of any Noise message, tag included

class CipherState {
 public:
  CipherState() noexcept = default;  // no key: bytes pass unchanged
  explicit CipherState(SecretKey key) noexcept : key_(std::move(key)), has_key_(true) {}

  void initialize_key(SecretKey key) noexcept;
  void clear() noexcept;
  // A second state that goes its own way from here.
  CipherState clone() const noexcept {
    CipherState out;
    out.key_ = key_.clone();
    out.nonce_ = nonce_;
    out.has_key_ = has_key_;
    return out;
  }
  bool has_key() const noexcept { return has_key_; }
  uint64_t nonce() const noexcept { return nonce_; }
  void set_nonce(uint64_t nonce) noexcept { nonce_ = nonce; }

  // Appends to `out`. False, with `out` and the counter as they were, when the counter has reached
  // 2^64-1 or the result would exceed kMaxMessage. `plaintext` must not lie inside `out`.
  [[nodiscard]] bool encrypt_with_ad(ByteView ad, ByteView plaintext, Bytes& out);
  // Appends to `out`. False, with `out` and the counter as they were, when the bytes do not
  // authenticate, are too short or too long, or the counter has reached 2^64-1.
  [[nodiscard]] bool decrypt_with_ad(ByteView ad, ByteView ciphertext, Bytes& out);

 private:
  SecretKey key_;
  uint64_t nonce_ = 0;
  bool has_key_ = false;
};

}  // namespace smartvpn::noise
