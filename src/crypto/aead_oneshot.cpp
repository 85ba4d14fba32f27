// Single AEAD operations over libsodium; every call is in place or into the caller's buffer.
#include "crypto/aead_oneshot.hpp"

#include "crypto/sodium.hpp"

namespace smartvpn::crypto {

void chacha20_poly1305_seal(std::span<const uint8_t, 32> key, std::span<const uint8_t, kNonceSize> nonce, ByteView ad,
                            ByteView plaintext, uint8_t* out) noexcept {
  ready_sodium();
  crypto_aead_chacha20poly1305_ietf_encrypt(out, nullptr, plaintext.data(), plaintext.size(), ad.data(), ad.size(),
                                            nullptr, nonce.data(), key.data());
}

bool chacha20_poly1305_open(std::span<const uint8_t, 32> key, std::span<const uint8_t, kNonceSize> nonce, ByteView ad,
                            ByteView ciphertext, uint8_t* out) noexcept {
  if (ciphertext.size() < kTagSize) return false;
  ready_sodium();
  if (crypto_aead_chacha20poly1305_ietf_decrypt(out, nullptr, nullptr, ciphertext.data(), ciphertext.size(), ad.data(),
                                                ad.size(), nonce.data(), key.data()) == 0)
    return true;
  wipe({out, ciphertext.size() - kTagSize});
  return false;
}

void xchacha20_poly1305_seal(std::span<const uint8_t, 32> key, std::span<const uint8_t, kXNonceSize> nonce, ByteView ad,
                             ByteView plaintext, uint8_t* out) noexcept {
  ready_sodium();
  crypto_aead_xchacha20poly1305_ietf_encrypt(out, nullptr, plaintext.data(), plaintext.size(), ad.data(), ad.size(),
                                             nullptr, nonce.data(), key.data());
}

bool xchacha20_poly1305_open(std::span<const uint8_t, 32> key, std::span<const uint8_t, kXNonceSize> nonce, ByteView ad,
                             ByteView ciphertext, uint8_t* out) noexcept {
  if (ciphertext.size() < kTagSize) return false;
  ready_sodium();
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, nullptr, nullptr, ciphertext.data(), ciphertext.size(), ad.data(),
                                                 ad.size(), nonce.data(), key.data()) == 0)
    return true;
  wipe({out, ciphertext.size() - kTagSize});
  return false;
}

}  // namespace smartvpn::crypto
