// See identity.hpp.
#include "transport/wireguard/identity.hpp"

#include "crypto/blake2s.hpp"

namespace smartvpn::wireguard {

std::array<uint8_t, 32> mac1_key_of(const PublicKey& key) noexcept {
  return crypto::blake2s(as_bytes("mac1----"), key);
}

std::array<uint8_t, 32> cookie_key_of(const PublicKey& key) noexcept {
  return crypto::blake2s(as_bytes("cookie--"), key);
}

Identity::Identity(SecretKey secret) noexcept {
  key.pub = crypto::public_key_of(secret);
  key.secret = std::move(secret);
  mac1_key = mac1_key_of(key.pub);
  cookie_key = cookie_key_of(key.pub);
}

}  // namespace smartvpn::wireguard
