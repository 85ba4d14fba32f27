// BLAKE2s after RFC 7693, section 3, and HMAC and HKDF over it after the Noise specification,
// section 4.3. Portable; a handshake spends some microseconds here.
#include "crypto/blake2s.hpp"

#include <bit>

#include "base/secret.hpp"

namespace smartvpn::crypto {
namespace {

constexpr std::array<uint32_t, 8> kIv{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

constexpr uint8_t kSigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

inline void mix(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d, uint32_t x, uint32_t y) noexcept {
  a += b + x;
  d = std::rotr(d ^ a, 16);
  c += d;
  b = std::rotr(b ^ c, 12);
  a += b + y;
  d = std::rotr(d ^ a, 8);
  c += d;
  b = std::rotr(b ^ c, 7);
}

// One HMAC pass: the digest of (key xor pad) and the message.
Blake2s padded(const std::array<uint8_t, kBlake2sBlock>& key, uint8_t pad) noexcept {
  std::array<uint8_t, kBlake2sBlock> block;
  for (size_t i = 0; i < block.size(); ++i) block[i] = key[i] ^ pad;
  Blake2s hash;
  hash.update(block);
  wipe(block);
  return hash;
}

}  // namespace

Blake2s::Blake2s(size_t digest_size, ByteView key) noexcept
    : h_(kIv), digest_size_(std::clamp(digest_size, size_t{1}, kBlake2sSize)) {
  key = key.first(std::min(key.size(), size_t{32}));
  h_[0] ^= 0x01010000 ^ static_cast<uint32_t>(key.size() << 8) ^ static_cast<uint32_t>(digest_size_);
  if (key.empty()) return;
  std::copy(key.begin(), key.end(), buffer_.begin());
  used_ = kBlake2sBlock;
}

Blake2s::~Blake2s() {
  wipe(buffer_);
  wipe({reinterpret_cast<uint8_t*>(h_.data()), sizeof h_});
}

Blake2s& Blake2s::update(ByteView bytes) noexcept {
  while (!bytes.empty()) {
    // A full buffer is compressed only when more follows: the last block is compressed differently.
    if (used_ == kBlake2sBlock) {
      count_ += kBlake2sBlock;
      compress(buffer_.data(), false);
      used_ = 0;
    }
    size_t n = std::min(bytes.size(), kBlake2sBlock - used_);
    std::copy_n(bytes.begin(), n, buffer_.begin() + static_cast<ptrdiff_t>(used_));
    used_ += n;
    bytes = bytes.subspan(n);
  }
  return *this;
}

void Blake2s::finish(ByteSpan out) noexcept {
  count_ += used_;
  std::fill(buffer_.begin() + static_cast<ptrdiff_t>(used_), buffer_.end(), uint8_t{0});
  compress(buffer_.data(), true);
  for (size_t i = 0; i < std::min(digest_size_, out.size()); ++i)
    out[i] = static_cast<uint8_t>(h_[i / 4] >> (8 * (i % 4)));
  wipe(buffer_);
  wipe({reinterpret_cast<uint8_t*>(h_.data()), sizeof h_});
}

void Blake2s::compress(const uint8_t* block, bool last) noexcept {
  uint32_t m[16], v[16];
  for (size_t i = 0; i < 16; ++i) m[i] = load_le32(block + 4 * i);
  std::copy(h_.begin(), h_.end(), v);
  std::copy(kIv.begin(), kIv.end(), v + 8);
  v[12] ^= static_cast<uint32_t>(count_);
  v[13] ^= static_cast<uint32_t>(count_ >> 32);
  if (last) v[14] = ~v[14];
  for (const auto& s : kSigma) {
    mix(v[0], v[4], v[8], v[12], m[s[0]], m[s[1]]);
    mix(v[1], v[5], v[9], v[13], m[s[2]], m[s[3]]);
    mix(v[2], v[6], v[10], v[14], m[s[4]], m[s[5]]);
    mix(v[3], v[7], v[11], v[15], m[s[6]], m[s[7]]);
    mix(v[0], v[5], v[10], v[15], m[s[8]], m[s[9]]);
    mix(v[1], v[6], v[11], v[12], m[s[10]], m[s[11]]);
    mix(v[2], v[7], v[8], v[13], m[s[12]], m[s[13]]);
    mix(v[3], v[4], v[9], v[14], m[s[14]], m[s[15]]);
  }
  for (size_t i = 0; i < 8; ++i) h_[i] ^= v[i] ^ v[i + 8];
}

Blake2sDigest blake2s(ByteView first, ByteView second) noexcept {
  Blake2sDigest out;
  Blake2s().update(first).update(second).finish(out);
  return out;
}

std::array<uint8_t, 16> blake2s_mac16(ByteView key, ByteView message) noexcept {
  std::array<uint8_t, 16> out;
  Blake2s(out.size(), key).update(message).finish(out);
  return out;
}

void hmac_blake2s(std::span<uint8_t, 32> out, ByteView key, ByteView first, ByteView second) noexcept {
  std::array<uint8_t, kBlake2sBlock> padded_key{};
  if (key.size() > padded_key.size())
    Blake2s().update(key).finish(padded_key);
  else
    std::copy(key.begin(), key.end(), padded_key.begin());
  Blake2sDigest inner;
  padded(padded_key, 0x36).update(first).update(second).finish(inner);
  padded(padded_key, 0x5c).update(inner).finish(out);
  wipe(padded_key);
  wipe(inner);
}

void hkdf2(ByteView chaining_key, ByteView input, std::span<uint8_t, 32> out1, std::span<uint8_t, 32> out2) noexcept {
  const uint8_t one[] = {1}, two[] = {2};
  Blake2sDigest temporary;
  hmac_blake2s(temporary, chaining_key, input);
  hmac_blake2s(out1, temporary, one);
  hmac_blake2s(out2, temporary, out1, two);
  wipe(temporary);
}

void hkdf3(ByteView chaining_key, ByteView input, std::span<uint8_t, 32> out1, std::span<uint8_t, 32> out2,
           std::span<uint8_t, 32> out3) noexcept {
  const uint8_t one[] = {1}, two[] = {2}, three[] = {3};
  Blake2sDigest temporary;
  hmac_blake2s(temporary, chaining_key, input);
  hmac_blake2s(out1, temporary, one);
  hmac_blake2s(out2, temporary, out1, two);
  hmac_blake2s(out3, temporary, out2, three);
  wipe(temporary);
}

}  // namespace smartvpn::crypto
