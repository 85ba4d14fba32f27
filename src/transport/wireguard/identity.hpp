// Our static key with what follows from it. Immutable, shared by the shards; a changed key is another identity.
#pragma once

#include "crypto/x25519.hpp"

namespace smartvpn::wireguard {

// The Noise prologue (white paper, section 5.4.2: IDENTIFIER).
inline constexpr std::string_view kPrologue = "WireGuard v1 zx2c4 Jason@zx2c4.com";

struct Identity {
  explicit Identity(SecretKey secret) noexcept;  // any 32 bytes are a key
  crypto::KeyPair key;
  std::array<uint8_t, 32> mac1_key{};    // Hash("mac1----" || own public key): checks what comes to us
  std::array<uint8_t, 32> cookie_key{};  // Hash("cookie--" || own public key)
};

}  // namespace smartvpn::wireguard
