// Poly1305 (RFC 8439, section 2.5) of eight packets side by side, each in one 64-bit lane: limbs of 44, 44 and 42 bits,
// whose products the IFMA instructions add up as their lower and upper 52 bits. Four blocks of a packet go into one
// reduction: h = (h + m0) r^4 + m1 r^3 + m2 r^2 + m3 r. For aead_avx512.cpp alone; see lanes.hpp.
#pragma once

#include <immintrin.h>

#include "crypto/lanes.hpp"

namespace smartvpn::crypto {
namespace {

constexpr size_t kMacs512 = 8;

SMARTVPN_LANE __m512i wide(uint64_t value) { return _mm512_set1_epi64(static_cast<long long>(value)); }

struct Limbs {
  __m512i l0, l1, l2;
};

// A power of r, and 20 r1 and 20 r2: what is above 2^132 comes back multiplied by 20, because 2^130 is 5.
struct Power {
  __m512i r0, r1, r2, s1, s2;
};

// The sums of products for each limb, as their lower and upper 52 bits. Twelve products of less than 2^97 fit.
struct Products {
  __m512i low0, low1, low2, high0, high1, high2;
};

SMARTVPN_LANE Limbs split(__m512i low, __m512i high) {
  const __m512i mask44 = wide((uint64_t{1} << 44) - 1);
  Limbs m;
  m.l0 = _mm512_and_si512(low, mask44);
  m.l1 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(low, 44), _mm512_slli_epi64(high, 20), mask44, 0xa8);  // (a|b)&c
  m.l2 = _mm512_srli_epi64(high, 24);
  return m;
}

// A block of the message: every one ends in 2^128, since the AEAD pads to whole blocks.
SMARTVPN_LANE Limbs block(__m512i low, __m512i high) {
  Limbs m = split(low, high);
  m.l2 = _mm512_or_si512(m.l2, wide(uint64_t{1} << 40));
  return m;
}

SMARTVPN_LANE Limbs plus(const Limbs& a, const Limbs& b) {
  return {_mm512_add_epi64(a.l0, b.l0), _mm512_add_epi64(a.l1, b.l1), _mm512_add_epi64(a.l2, b.l2)};
}

SMARTVPN_LANE void multiply_add(Products& p, const Limbs& h, const Power& r) {
  p.low0 = _mm512_madd52lo_epu64(p.low0, h.l0, r.r0);
  p.high0 = _mm512_madd52hi_epu64(p.high0, h.l0, r.r0);
  p.low1 = _mm512_madd52lo_epu64(p.low1, h.l0, r.r1);
  p.high1 = _mm512_madd52hi_epu64(p.high1, h.l0, r.r1);
  p.low2 = _mm512_madd52lo_epu64(p.low2, h.l0, r.r2);
  p.high2 = _mm512_madd52hi_epu64(p.high2, h.l0, r.r2);
  p.low0 = _mm512_madd52lo_epu64(p.low0, h.l1, r.s2);
  p.high0 = _mm512_madd52hi_epu64(p.high0, h.l1, r.s2);
  p.low1 = _mm512_madd52lo_epu64(p.low1, h.l1, r.r0);
  p.high1 = _mm512_madd52hi_epu64(p.high1, h.l1, r.r0);
  p.low2 = _mm512_madd52lo_epu64(p.low2, h.l1, r.r1);
  p.high2 = _mm512_madd52hi_epu64(p.high2, h.l1, r.r1);
  p.low0 = _mm512_madd52lo_epu64(p.low0, h.l2, r.s1);
  p.high0 = _mm512_madd52hi_epu64(p.high0, h.l2, r.s1);
  p.low1 = _mm512_madd52lo_epu64(p.low1, h.l2, r.s2);
  p.high1 = _mm512_madd52hi_epu64(p.high1, h.l2, r.s2);
  p.low2 = _mm512_madd52lo_epu64(p.low2, h.l2, r.r0);
  p.high2 = _mm512_madd52hi_epu64(p.high2, h.l2, r.r0);
}

// Limbs of 44 (the second: a few more) and 42 bits. The upper halves weigh 2^52, that is 2^8 of the next limb; above
// 2^130 everything comes back multiplied by 5.
SMARTVPN_LANE Limbs reduced(const Products& p) {
  const __m512i mask44 = wide((uint64_t{1} << 44) - 1), mask42 = wide((uint64_t{1} << 42) - 1);
  Limbs h;
  h.l0 = _mm512_and_si512(p.low0, mask44);
  const __m512i d1 =
      _mm512_add_epi64(_mm512_add_epi64(p.low1, _mm512_slli_epi64(p.high0, 8)), _mm512_srli_epi64(p.low0, 44));
  h.l1 = _mm512_and_si512(d1, mask44);
  const __m512i d2 =
      _mm512_add_epi64(_mm512_add_epi64(p.low2, _mm512_slli_epi64(p.high1, 8)), _mm512_srli_epi64(d1, 44));
  h.l2 = _mm512_and_si512(d2, mask42);
  const __m512i over = _mm512_add_epi64(_mm512_srli_epi64(d2, 42), _mm512_slli_epi64(p.high2, 10));
  const __m512i d0 = _mm512_add_epi64(_mm512_add_epi64(h.l0, over), _mm512_slli_epi64(over, 2));
  h.l0 = _mm512_and_si512(d0, mask44);
  h.l1 = _mm512_add_epi64(h.l1, _mm512_srli_epi64(d0, 44));
  return h;
}

SMARTVPN_LANE Products no_products() {
  const __m512i zero = _mm512_setzero_si512();
  return {zero, zero, zero, zero, zero, zero};
}

SMARTVPN_LANE Power power_of(const Limbs& r) {
  auto times20 = [](__m512i v) __attribute__((always_inline)) {
    return _mm512_add_epi64(_mm512_slli_epi64(v, 4), _mm512_slli_epi64(v, 2));
  };
  return {r.l0, r.l1, r.l2, times20(r.l1), times20(r.l2)};
}

SMARTVPN_LANE Limbs times(const Limbs& h, const Power& r) {
  Products p = no_products();
  multiply_add(p, h, r);
  return reduced(p);
}

// N blocks at once; power[n] is r^(n+1). What does not wait for h comes first.
template <int N>
SMARTVPN_LANE Limbs fold(const Limbs& h, const Limbs* m, const Power* power) {
  Products p = no_products();
  if constexpr (N > 1) multiply_add(p, m[N - 1], power[0]);
  if constexpr (N > 2) multiply_add(p, m[N - 2], power[1]);
  if constexpr (N > 3) multiply_add(p, m[N - 3], power[2]);
  multiply_add(p, plus(h, m[0]), power[N - 1]);
  return reduced(p);
}

SMARTVPN_LANE Limbs chosen(__mmask8 lanes, const Limbs& yes, const Limbs& no) {
  return {_mm512_mask_mov_epi64(no.l0, lanes, yes.l0), _mm512_mask_mov_epi64(no.l1, lanes, yes.l1),
          _mm512_mask_mov_epi64(no.l2, lanes, yes.l2)};
}

// Row i holds 64 bytes of packet i: turned into four blocks of all eight.
SMARTVPN_LANE void four_blocks(const __m512i (&row)[8], Limbs (&m)[4]) {
  auto even = [](__m512i a, __m512i b) __attribute__((always_inline)) { return _mm512_shuffle_i64x2(a, b, 0x88); };
  auto odd = [](__m512i a, __m512i b) __attribute__((always_inline)) { return _mm512_shuffle_i64x2(a, b, 0xdd); };
  const __m512i low01 = _mm512_unpacklo_epi64(row[0], row[1]), high01 = _mm512_unpackhi_epi64(row[0], row[1]);
  const __m512i low23 = _mm512_unpacklo_epi64(row[2], row[3]), high23 = _mm512_unpackhi_epi64(row[2], row[3]);
  const __m512i low45 = _mm512_unpacklo_epi64(row[4], row[5]), high45 = _mm512_unpackhi_epi64(row[4], row[5]);
  const __m512i low67 = _mm512_unpacklo_epi64(row[6], row[7]), high67 = _mm512_unpackhi_epi64(row[6], row[7]);
  const __m512i low02a = even(low01, low23), low02b = even(low45, low67);
  const __m512i low13a = odd(low01, low23), low13b = odd(low45, low67);
  const __m512i high02a = even(high01, high23), high02b = even(high45, high67);
  const __m512i high13a = odd(high01, high23), high13b = odd(high45, high67);
  m[0] = block(even(low02a, low02b), even(high02a, high02b));
  m[1] = block(even(low13a, low13b), even(high13a, high13b));
  m[2] = block(odd(low02a, low02b), odd(high02a, high02b));
  m[3] = block(odd(low13a, low13b), odd(high13a, high13b));
}

// h modulo 2^130 - 5, plus s, modulo 2^128.
SMARTVPN_LANE void finish(Limbs h, __m512i s_low, __m512i s_high, uint64_t* low_out, uint64_t* high_out) {
  const __m512i mask44 = wide((uint64_t{1} << 44) - 1), mask42 = wide((uint64_t{1} << 42) - 1);
  // Twice around: then every limb is within its bits.
  for (int i = 0; i < 2; ++i) {
    h.l1 = _mm512_add_epi64(h.l1, _mm512_srli_epi64(h.l0, 44));
    h.l0 = _mm512_and_si512(h.l0, mask44);
    h.l2 = _mm512_add_epi64(h.l2, _mm512_srli_epi64(h.l1, 44));
    h.l1 = _mm512_and_si512(h.l1, mask44);
    const __m512i over = _mm512_srli_epi64(h.l2, 42);
    h.l2 = _mm512_and_si512(h.l2, mask42);
    h.l0 = _mm512_add_epi64(h.l0, _mm512_add_epi64(over, _mm512_slli_epi64(over, 2)));
  }
  // h + 5 reaches 2^130 where h is not below the modulus.
  __m512i g0 = _mm512_add_epi64(h.l0, wide(5));
  __m512i g1 = _mm512_add_epi64(h.l1, _mm512_srli_epi64(g0, 44));
  g0 = _mm512_and_si512(g0, mask44);
  const __m512i g2 = _mm512_add_epi64(h.l2, _mm512_srli_epi64(g1, 44));
  g1 = _mm512_and_si512(g1, mask44);
  const __mmask8 above = _mm512_cmpgt_epu64_mask(g2, mask42);
  h = chosen(above, Limbs{g0, g1, g2}, h);  // the bits from 2^128 on fall out below
  __m512i low = _mm512_or_si512(h.l0, _mm512_slli_epi64(h.l1, 44));
  __m512i high = _mm512_or_si512(_mm512_srli_epi64(h.l1, 20), _mm512_slli_epi64(h.l2, 24));
  low = _mm512_add_epi64(low, s_low);
  const __mmask8 carry = _mm512_cmplt_epu64_mask(low, s_low);
  high = _mm512_add_epi64(high, s_high);
  high = _mm512_mask_add_epi64(high, carry, high, wide(1));
  _mm512_storeu_si512(low_out, low);
  _mm512_storeu_si512(high_out, high);
}

}  // namespace
}  // namespace smartvpn::crypto
