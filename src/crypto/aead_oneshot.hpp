// Single AEAD operations without an engine, over libsodium: handshake messages (ChaCha20-Poly1305)
// and WireGuard's cookie replies (XChaCha20-Poly1305). Not for the data path.
#pragma once

#include "crypto/aead.hpp"

namespace smartvpn::crypto {

constexpr size_t kXNonceSize = 24;

// Writes plaintext.size() + 16 bytes to `out`, which may be the plaintext's own buffer.
void chacha20_poly1305_seal(std::span<const uint8_t, 32> key, std::span<const uint8_t, kNonceSize> nonce, ByteView ad,
                            ByteView plaintext, uint8_t* out) noexcept;
// Writes ciphertext.size() - 16 bytes to `out`, which may be the ciphertext's own buffer. False, with
// those bytes zero, when the ciphertext is shorter than a tag or does not authenticate.
[[nodiscard]] bool chacha20_poly1305_open(std::span<const uint8_t, 32> key, std::span<const uint8_t, kNonceSize> nonce,
                                          ByteView ad, ByteView ciphertext, uint8_t* out) noexcept;

// The same with a random 24-byte nonce (draft-irtf-cfrg-xchacha).
void xchacha20_poly1305_seal(std::span<const uint8_t, 32> key, std::span<const uint8_t, kXNonceSize> nonce, ByteView ad,
                             ByteView plaintext, uint8_t* out) noexcept;
[[nodiscard]] bool xchacha20_poly1305_open(std::span<const uint8_t, 32> key,
                                           std::span<const uint8_t, kXNonceSize> nonce, ByteView ad,
                                           ByteView ciphertext, uint8_t* out) noexcept;

}  // namespace smartvpn::crypto
