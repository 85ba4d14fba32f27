// ChaCha20 (RFC 8439, section 2.3), sixteen blocks at once: register w holds word w of all sixteen.
// For aead_avx512.cpp alone; see lanes.hpp.
#pragma once

#include <immintrin.h>

#include "crypto/lanes.hpp"

namespace smartvpn::crypto {
namespace {

using V = __m512i;
using ChaChaState = V[16];

SMARTVPN_LANE V word(uint32_t value) { return _mm512_set1_epi32(static_cast<int>(value)); }
SMARTVPN_LANE V words(const uint32_t* from) { return _mm512_load_si512(from); }

SMARTVPN_LANE void quarter(V& a, V& b, V& c, V& d) {
  a = _mm512_add_epi32(a, b);
  d = _mm512_rol_epi32(_mm512_xor_si512(d, a), 16);
  c = _mm512_add_epi32(c, d);
  b = _mm512_rol_epi32(_mm512_xor_si512(b, c), 12);
  a = _mm512_add_epi32(a, b);
  d = _mm512_rol_epi32(_mm512_xor_si512(d, a), 8);
  c = _mm512_add_epi32(c, d);
  b = _mm512_rol_epi32(_mm512_xor_si512(b, c), 7);
}

// All twenty rounds and the addition of the input, for blocks of these counters and nonces.
SMARTVPN_LANE void keystream(ChaChaState& x, const LaneKey& key, V counter, V nonce_low, V nonce_high) {
  const uint32_t* const k = key.state;
  x[0] = word(k[0]), x[1] = word(k[1]), x[2] = word(k[2]), x[3] = word(k[3]);
  x[4] = word(k[4]), x[5] = word(k[5]), x[6] = word(k[6]), x[7] = word(k[7]);
  x[8] = word(k[8]), x[9] = word(k[9]), x[10] = word(k[10]), x[11] = word(k[11]);
  x[12] = counter, x[13] = word(k[13]), x[14] = nonce_low, x[15] = nonce_high;
#pragma GCC unroll 10
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
  x[0] = _mm512_add_epi32(x[0], word(k[0])), x[1] = _mm512_add_epi32(x[1], word(k[1]));
  x[2] = _mm512_add_epi32(x[2], word(k[2])), x[3] = _mm512_add_epi32(x[3], word(k[3]));
  x[4] = _mm512_add_epi32(x[4], word(k[4])), x[5] = _mm512_add_epi32(x[5], word(k[5]));
  x[6] = _mm512_add_epi32(x[6], word(k[6])), x[7] = _mm512_add_epi32(x[7], word(k[7]));
  x[8] = _mm512_add_epi32(x[8], word(k[8])), x[9] = _mm512_add_epi32(x[9], word(k[9]));
  x[10] = _mm512_add_epi32(x[10], word(k[10])), x[11] = _mm512_add_epi32(x[11], word(k[11]));
  x[12] = _mm512_add_epi32(x[12], counter), x[13] = _mm512_add_epi32(x[13], word(k[13]));
  x[14] = _mm512_add_epi32(x[14], nonce_low), x[15] = _mm512_add_epi32(x[15], nonce_high);
}

// Words 4g..4g+3 of all blocks: register j gets these four words of blocks j, j+4, j+8, j+12.
SMARTVPN_LANE void transpose_words(V& a, V& b, V& c, V& d) {
  const V ab_low = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
  const V cd_low = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
  a = _mm512_unpacklo_epi64(ab_low, cd_low);
  b = _mm512_unpackhi_epi64(ab_low, cd_low);
  c = _mm512_unpacklo_epi64(ab_high, cd_high);
  d = _mm512_unpackhi_epi64(ab_high, cd_high);
}

// The four quarters of blocks j, j+4, j+8, j+12: these blocks, whole.
SMARTVPN_LANE void transpose_quarters(V& a, V& b, V& c, V& d) {
  const V ab_even = _mm512_shuffle_i32x4(a, b, 0x88), ab_odd = _mm512_shuffle_i32x4(a, b, 0xdd);
  const V cd_even = _mm512_shuffle_i32x4(c, d, 0x88), cd_odd = _mm512_shuffle_i32x4(c, d, 0xdd);
  a = _mm512_shuffle_i32x4(ab_even, cd_even, 0x88);
  b = _mm512_shuffle_i32x4(ab_odd, cd_odd, 0x88);
  c = _mm512_shuffle_i32x4(ab_even, cd_even, 0xdd);
  d = _mm512_shuffle_i32x4(ab_odd, cd_odd, 0xdd);
}

SMARTVPN_LANE void transpose(ChaChaState& x) {
  transpose_words(x[0], x[1], x[2], x[3]);
  transpose_words(x[4], x[5], x[6], x[7]);
  transpose_words(x[8], x[9], x[10], x[11]);
  transpose_words(x[12], x[13], x[14], x[15]);
  transpose_quarters(x[0], x[4], x[8], x[12]);
  transpose_quarters(x[1], x[5], x[9], x[13]);
  transpose_quarters(x[2], x[6], x[10], x[14]);
  transpose_quarters(x[3], x[7], x[11], x[15]);
}

template <bool kWhole>
SMARTVPN_LANE void mix(const Units<16>& units, size_t i, V stream) {
  if constexpr (kWhole) {
    _mm512_storeu_si512(units.at[i], _mm512_xor_si512(_mm512_loadu_si512(units.at[i]), stream));
  } else if (units.size[i] != 0) {
    // Bytes outside of the mask are not touched, be they on a page that is not there. (With no bytes at all that would
    // be so too, but a mask that is wholly on such a page takes the processor a hundred times as long.)
    const __mmask64 bytes = ~uint64_t{0} >> (64 - units.size[i]);
    const V text = _mm512_maskz_loadu_epi8(bytes, units.at[i]);
    _mm512_mask_storeu_epi8(units.at[i], bytes, _mm512_xor_si512(text, stream));
  }
}

template <bool kWhole>
SMARTVPN_LANE void mix_all(const Units<16>& units, const ChaChaState& x) {
  mix<kWhole>(units, 0, x[0]), mix<kWhole>(units, 1, x[1]);
  mix<kWhole>(units, 2, x[2]), mix<kWhole>(units, 3, x[3]);
  mix<kWhole>(units, 4, x[4]), mix<kWhole>(units, 5, x[5]);
  mix<kWhole>(units, 6, x[6]), mix<kWhole>(units, 7, x[7]);
  mix<kWhole>(units, 8, x[8]), mix<kWhole>(units, 9, x[9]);
  mix<kWhole>(units, 10, x[10]), mix<kWhole>(units, 11, x[11]);
  mix<kWhole>(units, 12, x[12]), mix<kWhole>(units, 13, x[13]);
  mix<kWhole>(units, 14, x[14]), mix<kWhole>(units, 15, x[15]);
}

}  // namespace
}  // namespace smartvpn::crypto
