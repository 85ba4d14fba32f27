// X25519 (RFC 7748) over libsodium, which is faster than EVP_PKEY for single exchanges.
#pragma once

#include "base/rng.hpp"
#include "base/secret.hpp"

namespace smartvpn::crypto {

struct KeyPair {
  SecretKey secret;  // clamped
  PublicKey pub{};
};

// 32 bytes from `rng`, clamped as `wg genkey` does.
KeyPair generate_key_pair(Rng& rng) noexcept;

// Any 32 bytes are a private key; they are clamped inside.
PublicKey public_key_of(const SecretKey& secret) noexcept;

// The shared secret of `secret` and `theirs`. False, and `out` all zero, when the result is all zero:
// `theirs` was a point of small order and the exchange must fail. The top bit of `theirs` is ignored.
[[nodiscard]] bool x25519(std::span<uint8_t, 32> out, const SecretKey& secret, const PublicKey& theirs) noexcept;

// False for the points of small order, with which every exchange fails. For keys a host brings; costs
// one exchange.
[[nodiscard]] bool is_usable_public_key(const PublicKey& key) noexcept;

}  // namespace smartvpn::crypto
