// ChaCha20-Poly1305 (RFC 8439 section 2.8) of OpenSSL's ChaCha20 and Poly1305, each called once for a packet. OpenSSL's
// own cipher of that name takes three times as long for a small packet and half as long again for a full one: it looks
// parameters up by name, and its assembly is called in pieces that it is slow for. One key at a time; not thread-safe.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <span>

#include "crypto/aead.hpp"

namespace smartvpn::crypto {

class EvpAead {
 public:
  // Null where libcrypto does not have both, or no memory.
  static std::unique_ptr<EvpAead> create() noexcept;
  ~EvpAead();
  EvpAead(const EvpAead&) = delete;
  EvpAead& operator=(const EvpAead&) = delete;

  // For what follows. False: libcrypto could not, as below.
  bool set_key(std::span<const uint8_t, 32> key) noexcept;
  // In place; the tag goes to `data[size, size + 16)`. False: what is there is undefined and must not be sent.
  bool seal(std::span<const uint8_t, kNonceSize> nonce, ByteView ad, uint8_t* data, size_t size) noexcept;
  // In place, after the tag at `data[size, size + 16)` was found to be right; else nothing was changed.
  bool open(std::span<const uint8_t, kNonceSize> nonce, ByteView ad, uint8_t* data, size_t size) noexcept;

 private:
  static constexpr size_t kBlock = 64;     // of ChaCha20
  static constexpr size_t kPacket = 2048;  // up to here in one piece, a multiple of the block; beyond, in place
  EvpAead() noexcept = default;
  bool is_packet(ByteView ad, size_t size) const noexcept { return ad.empty() && size <= kPacket; }
  bool set_nonce(std::span<const uint8_t, kNonceSize> nonce) noexcept;
  bool run_stream(uint8_t* out, const uint8_t* in, size_t size) noexcept;
  bool run_packet(std::span<const uint8_t, kNonceSize> nonce, const uint8_t* data, size_t size) noexcept;
  bool make_packet_tag(uint8_t* ciphertext, size_t size, uint8_t* tag) noexcept;
  bool make_tag(ByteView ad, const uint8_t* data, size_t size, uint8_t* tag) noexcept;

  EVP_CIPHER_CTX* stream_ = nullptr;
  EVP_MAC_CTX* mac_ = nullptr;
  // A block of zeros before the packet becomes the first of the stream, which is the key of the tag (section 2.6);
  // there is room behind for what fills the last block, and for what the tag is made of besides.
  uint8_t in_[kBlock + kPacket + 32] = {}, out_[kBlock + kPacket + 32] = {};
};

}  // namespace smartvpn::crypto
