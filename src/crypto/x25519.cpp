// X25519 over libsodium, with the one rule of ours: an all-zero result is a failure, always.
#include "crypto/x25519.hpp"

#include "crypto/montgomery.hpp"
#include "crypto/sodium.hpp"

namespace smartvpn::crypto {
namespace {

void clamp(std::span<uint8_t, 32> secret) noexcept {
  secret[0] &= 248;
  secret[31] = static_cast<uint8_t>((secret[31] & 127) | 64);
}

}  // namespace

KeyPair generate_key_pair(Rng& rng) noexcept {
  KeyPair pair;
  auto secret = pair.secret.span();
  rng.fill(secret);
  clamp(secret);
  pair.pub = public_key_of(pair.secret);
  return pair;
}

PublicKey public_key_of(const SecretKey& secret) noexcept {
  ready_sodium();
  SecretKey scalar = secret.clone();
  clamp(scalar.span());
  PublicKey key{}, edwards{};
  // A clamped scalar is no multiple of the base point's order, so that this cannot fail.
  if (crypto_scalarmult_ed25519_base_noclamp(edwards.data(), scalar.view().data()) == 0)
    montgomery_u(key, edwards);
  else
    crypto_scalarmult_curve25519_base(key.data(), scalar.view().data());
  return key;
}

bool x25519(std::span<uint8_t, 32> out, const SecretKey& secret, const PublicKey& theirs) noexcept {
  ready_sodium();
  // -1 means an all-zero result here; older versions of the library only refused a list of points.
  bool ok = crypto_scalarmult_curve25519(out.data(), secret.view().data(), theirs.data()) == 0;
  ok = ok && !sodium_is_zero(out.data(), out.size());
  if (!ok) wipe(out);
  return ok;
}

bool is_usable_public_key(const PublicKey& key) noexcept {
  SecretKey probe;  // clamping makes a valid scalar of any bytes
  SecretKey shared;
  return x25519(shared.span(), probe, key);
}

}  // namespace smartvpn::crypto
