// Our static key with what follows from it. Immutable, shared by the shards; a changed key is another identity.
#pragma once

#include "crypto/x25519.hpp"

namespace smartvpn::wireguard {

// The Noise prologue (white paper, section 5.4.2: IDENTIFIER).
inline constexpr std::string_view kPrologue = "WireGuard v1 zx2c4 Jason@zx2c4.com";

// Hash("mac1----" || key) and Hash("cookie--" || key): what messages to the owner of `key` are marked with, and what
// opens its cookies.
std::array<uint8_t, 32> mac1_key_of(const PublicKey& key) noexcept;
std::array<uint8_t, 32> cookie_key_of(const PublicKey& key) noexcept;

struct Identity {
  explicit Identity(SecretKey secret) noexcept;  // any 32 bytes are a key
  crypto::KeyPair key;
  std::array<uint8_t, 32> mac1_key{};    // checks what comes to us
  std::array<uint8_t, 32> cookie_key{};  // seals our cookie replies
};

}  // namespace smartvpn::wireguard
