// BLAKE2s (RFC 7693) with its keyed mode, and the HMAC and HKDF that Noise and WireGuard build on it.
// Own code, because OpenSSL's digest has no keyed mode and costs a context per hash.
#pragma once

#include <array>

#include "base/bytes.hpp"

namespace smartvpn::crypto {

constexpr size_t kBlake2sSize = 32;
constexpr size_t kBlake2sBlock = 64;
using Blake2sDigest = std::array<uint8_t, kBlake2sSize>;

// Incremental. The state is wiped by finish() and by the destructor.
class Blake2s {
 public:
  // `digest_size` 1..32 bytes, `key` 0..32 bytes; anything else is a caller's bug and is clamped.
  explicit Blake2s(size_t digest_size = kBlake2sSize, ByteView key = {}) noexcept;
  Blake2s(const Blake2s&) = default;
  Blake2s& operator=(const Blake2s&) = default;
  ~Blake2s();
  Blake2s& update(ByteView bytes) noexcept;
  // Writes the first `digest_size` bytes of `out`, which has at least that many. Only once.
  void finish(ByteSpan out) noexcept;

 private:
  void compress(const uint8_t* block, bool last) noexcept;
  std::array<uint32_t, 8> h_;
  std::array<uint8_t, kBlake2sBlock> buffer_{};
  uint64_t count_ = 0;
  size_t used_ = 0;
  size_t digest_size_;
};

// BLAKE2s-256 of the concatenation of both parts.
Blake2sDigest blake2s(ByteView first, ByteView second = {}) noexcept;

// Keyed BLAKE2s with a 16-byte result: WireGuard's mac1, mac2 and cookies. `key` at most 32 bytes.
std::array<uint8_t, 16> blake2s_mac16(ByteView key, ByteView message) noexcept;

// HMAC-BLAKE2s-256 (RFC 2104) of the concatenation of both parts. Keys over 64 bytes are hashed first.
void hmac_blake2s(std::span<uint8_t, 32> out, ByteView key, ByteView first, ByteView second = {}) noexcept;

// HKDF in Noise's words (section 4.3): `input` may be empty. Outputs may alias `chaining_key`.
void hkdf2(ByteView chaining_key, ByteView input, std::span<uint8_t, 32> out1, std::span<uint8_t, 32> out2) noexcept;
void hkdf3(ByteView chaining_key, ByteView input, std::span<uint8_t, 32> out1, std::span<uint8_t, 32> out2,
           std::span<uint8_t, 32> out3) noexcept;

}  // namespace smartvpn::crypto
