// SymmetricState of the Noise specification (section 5.2) with BLAKE2s: the chaining key, the
// handshake hash and the cipher of a handshake in progress.
#pragma once

#include <string_view>

#include "noise/cipher_state.hpp"

namespace smartvpn::noise {

class SymmetricState {
 public:
  explicit SymmetricState(std::string_view protocol_name) noexcept;  // InitializeSymmetric

  void mix_key(ByteView input) noexcept;
  void mix_hash(ByteView bytes) noexcept;
  void mix_key_and_hash(ByteView input) noexcept;
  const std::array<uint8_t, 32>& hash() const noexcept { return hash_; }

  // EncryptAndHash, DecryptAndHash. Append to `out`; false as CipherState does, the hash then unchanged.
  [[nodiscard]] bool encrypt_and_hash(ByteView plaintext, Bytes& out);
  [[nodiscard]] bool decrypt_and_hash(ByteView ciphertext, Bytes& out);

  // The key of the initiator's messages, then the responder's.
  void split(SecretKey& first, SecretKey& second) noexcept;
  // Forgets the keys; the hash stays.
  void wipe() noexcept;
  SymmetricState clone() const noexcept {
    SymmetricState out;
    out.chaining_key_ = chaining_key_.clone();
    out.hash_ = hash_;
    out.cipher_ = cipher_.clone();
    return out;
  }

 private:
  SymmetricState() noexcept = default;
  SecretKey chaining_key_;
  std::array<uint8_t, 32> hash_{};
  CipherState cipher_;
};

}  // namespace smartvpn::noise
