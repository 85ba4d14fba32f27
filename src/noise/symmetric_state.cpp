// SymmetricState: section 5.2 of the Noise specification.
#include "noise/symmetric_state.hpp"

#include "crypto/blake2s.hpp"

namespace smartvpn::noise {

SymmetricState::SymmetricState(std::string_view protocol_name) noexcept {
  ByteView name = as_bytes(protocol_name);
  if (name.size() <= hash_.size())
    std::copy(name.begin(), name.end(), hash_.begin());
  else
    hash_ = crypto::blake2s(name);
  chaining_key_ = SecretKey(hash_);
}

void SymmetricState::mix_key(ByteView input) noexcept {
  SecretKey next, key;
  crypto::hkdf2(chaining_key_.view(), input, next.span(), key.span());
  chaining_key_ = std::move(next);
  cipher_.initialize_key(std::move(key));
}

void SymmetricState::mix_hash(ByteView bytes) noexcept { hash_ = crypto::blake2s(hash_, bytes); }

void SymmetricState::mix_key_and_hash(ByteView input) noexcept {
  SecretKey next, for_hash, key;
  crypto::hkdf3(chaining_key_.view(), input, next.span(), for_hash.span(), key.span());
  chaining_key_ = std::move(next);
  mix_hash(for_hash.view());
  cipher_.initialize_key(std::move(key));
}

bool SymmetricState::encrypt_and_hash(ByteView plaintext, Bytes& out) {
  const size_t at = out.size();
  if (!cipher_.encrypt_with_ad(hash_, plaintext, out)) return false;
  mix_hash(ByteView(out).subspan(at));
  return true;
}

bool SymmetricState::decrypt_and_hash(ByteView ciphertext, Bytes& out) {
  if (!cipher_.decrypt_with_ad(hash_, ciphertext, out)) return false;
  mix_hash(ciphertext);
  return true;
}

void SymmetricState::split(SecretKey& first, SecretKey& second) noexcept {
  crypto::hkdf2(chaining_key_.view(), {}, first.span(), second.span());
}

void SymmetricState::wipe() noexcept {
  chaining_key_.clear();
  cipher_.clear();
}

}  // namespace smartvpn::noise
