// See evp_aead.hpp.
#include "crypto/evp_aead.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <climits>
#include <new>

#include "base/secret.hpp"
#include "crypto/lib_context.hpp"
#include "crypto/sodium.hpp"

namespace smartvpn::crypto {
namespace {

constexpr size_t kPolyKey = 32;

}  // namespace

std::unique_ptr<EvpAead> EvpAead::create() noexcept {
  OSSL_LIB_CTX* library = private_lib_context();
  std::unique_ptr<EvpAead> out(library ? new (std::nothrow) EvpAead : nullptr);
  if (!out) return nullptr;
  EVP_CIPHER* cipher = EVP_CIPHER_fetch(library, "ChaCha20", nullptr);
  EVP_MAC* mac = EVP_MAC_fetch(library, "POLY1305", nullptr);
  out->stream_ = cipher ? EVP_CIPHER_CTX_new() : nullptr;
  out->mac_ = mac ? EVP_MAC_CTX_new(mac) : nullptr;
  const bool ok =
      out->stream_ && out->mac_ && EVP_EncryptInit_ex2(out->stream_, cipher, nullptr, nullptr, nullptr) == 1;
  EVP_CIPHER_free(cipher);  // the contexts hold them
  EVP_MAC_free(mac);
  if (ok) return out;
  ERR_clear_error();
  return nullptr;
}

EvpAead::~EvpAead() {
  EVP_CIPHER_CTX_free(stream_);
  EVP_MAC_CTX_free(mac_);
  wipe(ByteSpan(in_));
  wipe(ByteSpan(out_));
}

bool EvpAead::set_key(std::span<const uint8_t, 32> key) noexcept {
  return EVP_EncryptInit_ex2(stream_, nullptr, key.data(), nullptr, nullptr) == 1;
}

// To EVP the nonce is the block counter, little-endian, and then the nonce of the RFC; it counts on by itself.
bool EvpAead::set_nonce(std::span<const uint8_t, kNonceSize> nonce) noexcept {
  uint8_t counter_and_nonce[16] = {};
  std::copy(nonce.begin(), nonce.end(), counter_and_nonce + 4);
  return EVP_EncryptInit_ex2(stream_, nullptr, nullptr, counter_and_nonce, nullptr) == 1;
}

bool EvpAead::run_stream(uint8_t* out, const uint8_t* in, size_t size) noexcept {
  int n = 0;
  return size == 0 || (size <= INT_MAX && EVP_EncryptUpdate(stream_, out, &n, in, static_cast<int>(size)) == 1);
}

// From in_ to out_, whole blocks of them: for a part of one OpenSSL is as slow as for sixteen.
bool EvpAead::run_packet(std::span<const uint8_t, kNonceSize> nonce, const uint8_t* data, size_t size) noexcept {
  std::copy_n(data, size, in_ + kBlock);
  return set_nonce(nonce) && run_stream(out_, in_, kBlock + (size + kBlock - 1) / kBlock * kBlock);
}

// `ciphertext`: in in_ or out_, behind the first block. What is behind it there is overwritten.
bool EvpAead::make_packet_tag(uint8_t* ciphertext, size_t size, uint8_t* tag) noexcept {
  const size_t padding = (16 - size % 16) % 16;
  std::fill_n(ciphertext + size, padding + 8, uint8_t{0});  // no additional data: its length is zero
  store_le64(ciphertext + size + padding + 8, size);
  size_t written = 0;
  return EVP_MAC_init(mac_, out_, kPolyKey, nullptr) == 1 &&
         EVP_MAC_update(mac_, ciphertext, size + padding + 16) == 1 &&
         EVP_MAC_final(mac_, tag, &written, kTagSize) == 1 && written == kTagSize;
}

bool EvpAead::make_tag(ByteView ad, const uint8_t* data, size_t size, uint8_t* tag) noexcept {
  constexpr uint8_t zeros[16] = {};
  uint8_t lengths[16];
  store_le64(lengths, ad.size());
  store_le64(lengths + 8, size);
  auto update = [this](const uint8_t* at, size_t count) { return count == 0 || EVP_MAC_update(mac_, at, count) == 1; };
  size_t written = 0;
  return EVP_MAC_init(mac_, out_, kPolyKey, nullptr) == 1 && update(ad.data(), ad.size()) &&
         update(zeros, (16 - ad.size() % 16) % 16) && update(data, size) && update(zeros, (16 - size % 16) % 16) &&
         update(lengths, sizeof lengths) && EVP_MAC_final(mac_, tag, &written, kTagSize) == 1 && written == kTagSize;
}

bool EvpAead::seal(std::span<const uint8_t, kNonceSize> nonce, ByteView ad, uint8_t* data, size_t size) noexcept {
  bool sealed = false;
  if (is_packet(ad, size)) {
    sealed = run_packet(nonce, data, size) && make_packet_tag(out_ + kBlock, size, data + size);
    if (sealed) std::copy_n(out_ + kBlock, size, data);
  } else {
    sealed = set_nonce(nonce) && run_stream(out_, in_, kBlock) && run_stream(data, data, size) &&
             make_tag(ad, data, size, data + size);
  }
  if (!sealed) ERR_clear_error();
  return sealed;
}

bool EvpAead::open(std::span<const uint8_t, kNonceSize> nonce, ByteView ad, uint8_t* data, size_t size) noexcept {
  const bool packet = is_packet(ad, size);
  uint8_t tag[kTagSize];
  const bool made = packet ? run_packet(nonce, data, size) && make_packet_tag(in_ + kBlock, size, tag)
                           : set_nonce(nonce) && run_stream(out_, in_, kBlock) && make_tag(ad, data, size, tag);
  if (!made) ERR_clear_error();
  if (!made || sodium_memcmp(tag, data + size, kTagSize) != 0) return false;
  if (!packet) return run_stream(data, data, size);
  std::copy_n(out_ + kBlock, size, data);
  return true;
}

}  // namespace smartvpn::crypto
