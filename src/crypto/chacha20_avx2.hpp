// ChaCha20 (RFC 8439, section 2.3), eight blocks at once: register w holds word w of all eight.
// For aead_avx2.cpp alone; see lanes.hpp.
#pragma once

#include <immintrin.h>

#include "crypto/lanes.hpp"

namespace smartvpn::crypto {
namespace {

using V = __m256i;
using ChaChaState = V[16];

SMARTVPN_LANE V word(uint32_t value) { return _mm256_set1_epi32(static_cast<int>(value)); }
SMARTVPN_LANE V words(const uint32_t* from) { return _mm256_load_si256(reinterpret_cast<const V*>(from)); }

template <int kBits>
SMARTVPN_LANE V rotated(V v) {
  if constexpr (kBits == 16)
    return _mm256_shuffle_epi8(
        v, _mm256_setr_epi64x(0x0504070601000302, 0x0d0c0f0e09080b0a, 0x0504070601000302, 0x0d0c0f0e09080b0a));
  if constexpr (kBits == 8)
    return _mm256_shuffle_epi8(
        v, _mm256_setr_epi64x(0x0605040702010003, 0x0e0d0c0f0a09080b, 0x0605040702010003, 0x0e0d0c0f0a09080b));
  return _mm256_or_si256(_mm256_slli_epi32(v, kBits), _mm256_srli_epi32(v, 32 - kBits));
}

SMARTVPN_LANE void quarter(V& a, V& b, V& c, V& d) {
  a = _mm256_add_epi32(a, b);
  d = rotated<16>(_mm256_xor_si256(d, a));
  c = _mm256_add_epi32(c, d);
  b = rotated<12>(_mm256_xor_si256(b, c));
  a = _mm256_add_epi32(a, b);
  d = rotated<8>(_mm256_xor_si256(d, a));
  c = _mm256_add_epi32(c, d);
  b = rotated<7>(_mm256_xor_si256(b, c));
}

// All twenty rounds and the addition of the input, for blocks of these counters and nonces.
SMARTVPN_LANE void keystream(ChaChaState& x, const LaneKey& key, const uint32_t* counter, const uint32_t* nonce_low,
                             const uint32_t* nonce_high) {
  const uint32_t* const k = key.state;
  x[0] = word(k[0]), x[1] = word(k[1]), x[2] = word(k[2]), x[3] = word(k[3]);
  x[4] = word(k[4]), x[5] = word(k[5]), x[6] = word(k[6]), x[7] = word(k[7]);
  x[8] = word(k[8]), x[9] = word(k[9]), x[10] = word(k[10]), x[11] = word(k[11]);
  x[12] = words(counter), x[13] = word(k[13]), x[14] = words(nonce_low), x[15] = words(nonce_high);
  for (int i = 0; i < 10; ++i) {
    quarter(x[0], x[4], x[8], x[12]);
    quarter(x[1], x[5], x[9], x[13]);
    quarter(x[2], x[6], x[10], x[14]);
    quarter(x[3], x[7], x[11], x[15]);
    quarter(x[0], x[5], x[10], x[15]);
    quarter(x[1], x[6], x[11], x[12]);
    quarter(x[2], x[7], x[8], x[13]);
    quarter(x[3], x[4], x[9], x[14]);
  }
  x[0] = _mm256_add_epi32(x[0], word(k[0])), x[1] = _mm256_add_epi32(x[1], word(k[1]));
  x[2] = _mm256_add_epi32(x[2], word(k[2])), x[3] = _mm256_add_epi32(x[3], word(k[3]));
  x[4] = _mm256_add_epi32(x[4], word(k[4])), x[5] = _mm256_add_epi32(x[5], word(k[5]));
  x[6] = _mm256_add_epi32(x[6], word(k[6])), x[7] = _mm256_add_epi32(x[7], word(k[7]));
  x[8] = _mm256_add_epi32(x[8], word(k[8])), x[9] = _mm256_add_epi32(x[9], word(k[9]));
  x[10] = _mm256_add_epi32(x[10], word(k[10])), x[11] = _mm256_add_epi32(x[11], word(k[11]));
  x[12] = _mm256_add_epi32(x[12], words(counter)), x[13] = _mm256_add_epi32(x[13], word(k[13]));
  x[14] = _mm256_add_epi32(x[14], words(nonce_low)), x[15] = _mm256_add_epi32(x[15], words(nonce_high));
}

// Words 4g..4g+3 of all blocks: register j gets these four words of blocks j and j+4.
SMARTVPN_LANE void transpose_words(V& a, V& b, V& c, V& d) {
  const V ab_low = _mm256_unpacklo_epi32(a, b), ab_high = _mm256_unpackhi_epi32(a, b);
  const V cd_low = _mm256_unpacklo_epi32(c, d), cd_high = _mm256_unpackhi_epi32(c, d);
  a = _mm256_unpacklo_epi64(ab_low, cd_low);
  b = _mm256_unpackhi_epi64(ab_low, cd_low);
  c = _mm256_unpacklo_epi64(ab_high, cd_high);
  d = _mm256_unpackhi_epi64(ab_high, cd_high);
}

// Of blocks j and j+4, their first and their second quarter: the first half of j, and of j+4.
SMARTVPN_LANE void transpose_quarters(V& a, V& b) {
  const V first = _mm256_permute2x128_si256(a, b, 0x20);
  b = _mm256_permute2x128_si256(a, b, 0x31);
  a = first;
}

// Afterwards x[j] and x[8 + j] are the halves of block j, x[4 + j] and x[12 + j] those of block j + 4, for j < 4.
SMARTVPN_LANE void transpose(ChaChaState& x) {
  transpose_words(x[0], x[1], x[2], x[3]);
  transpose_words(x[4], x[5], x[6], x[7]);
  transpose_words(x[8], x[9], x[10], x[11]);
  transpose_words(x[12], x[13], x[14], x[15]);
  transpose_quarters(x[0], x[4]), transpose_quarters(x[1], x[5]);
  transpose_quarters(x[2], x[6]), transpose_quarters(x[3], x[7]);
  transpose_quarters(x[8], x[12]), transpose_quarters(x[9], x[13]);
  transpose_quarters(x[10], x[14]), transpose_quarters(x[11], x[15]);
}

SMARTVPN_LANE void mix_half(uint8_t* at, V stream) {
  V* const text = reinterpret_cast<V*>(at);
  _mm256_storeu_si256(text, _mm256_xor_si256(_mm256_loadu_si256(text), stream));
}

// A part of a block, of which no other byte may be touched.
SMARTVPN_LANE void mix_part(uint8_t* at, uint32_t size, V first, V second) {
  alignas(32) uint8_t text[kBlock] = {};
  std::memcpy(text, at, size);
  mix_half(text, first);
  mix_half(text + 32, second);
  std::memcpy(at, text, size);
}

SMARTVPN_LANE void mix(const Units<8>& units, size_t i, V first, V second) {
  if (units.size[i] == kBlock) {
    mix_half(units.at[i], first);
    mix_half(units.at[i] + 32, second);
  } else if (units.size[i] != 0) {
    mix_part(units.at[i], units.size[i], first, second);
  }
}

SMARTVPN_LANE void mix_all(const Units<8>& units, const ChaChaState& x) {
  mix(units, 0, x[0], x[8]), mix(units, 1, x[1], x[9]);
  mix(units, 2, x[2], x[10]), mix(units, 3, x[3], x[11]);
  mix(units, 4, x[4], x[12]), mix(units, 5, x[5], x[13]);
  mix(units, 6, x[6], x[14]), mix(units, 7, x[7], x[15]);
}

}  // namespace
}  // namespace smartvpn::crypto
