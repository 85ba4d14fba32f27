// Poly1305 (RFC 8439, section 2.5) of four packets side by side, each in one 64-bit lane: five limbs of 26 bits. Four
// blocks of a packet go into one reduction: h = (h + m0) r^4 + m1 r^3 + m2 r^2 + m3 r.
// For aead_avx2.cpp alone; see lanes.hpp.
#pragma once

#include <immintrin.h>

#include "crypto/lanes.hpp"

namespace smartvpn::crypto {
namespace {

constexpr size_t kMacs256 = 4;

SMARTVPN_LANE __m256i wide(uint64_t value) { return _mm256_set1_epi64x(static_cast<long long>(value)); }

constexpr uint64_t kMask26 = (uint64_t{1} << 26) - 1;

struct Limbs {
  __m256i l0, l1, l2, l3, l4;
};

// A power of r, and five times its upper limbs: what is above 2^130 comes back multiplied by 5.
struct Power {
  Limbs r;
  __m256i s1, s2, s3, s4;
};

SMARTVPN_LANE Limbs split(__m256i low, __m256i high) {
  const __m256i mask = wide(kMask26);
  Limbs m;
  m.l0 = _mm256_and_si256(low, mask);
  m.l1 = _mm256_and_si256(_mm256_srli_epi64(low, 26), mask);
  m.l2 = _mm256_and_si256(_mm256_or_si256(_mm256_srli_epi64(low, 52), _mm256_slli_epi64(high, 12)), mask);
  m.l3 = _mm256_and_si256(_mm256_srli_epi64(high, 14), mask);
  m.l4 = _mm256_srli_epi64(high, 40);
  return m;
}

// A block of the message: every one ends in 2^128, since the AEAD pads to whole blocks.
SMARTVPN_LANE Limbs block(__m256i low, __m256i high) {
  Limbs m = split(low, high);
  m.l4 = _mm256_or_si256(m.l4, wide(uint64_t{1} << 24));
  return m;
}

SMARTVPN_LANE Limbs plus(const Limbs& a, const Limbs& b) {
  return {_mm256_add_epi64(a.l0, b.l0), _mm256_add_epi64(a.l1, b.l1), _mm256_add_epi64(a.l2, b.l2),
          _mm256_add_epi64(a.l3, b.l3), _mm256_add_epi64(a.l4, b.l4)};
}

SMARTVPN_LANE void add_product(__m256i& sum, __m256i a, __m256i b) {
  sum = _mm256_add_epi64(sum, _mm256_mul_epu32(a, b));
}

// Twenty products of at most 2^58 fit.
SMARTVPN_LANE void multiply_add(Limbs& d, const Limbs& h, const Power& p) {
  add_product(d.l0, h.l0, p.r.l0), add_product(d.l1, h.l0, p.r.l1), add_product(d.l2, h.l0, p.r.l2);
  add_product(d.l3, h.l0, p.r.l3), add_product(d.l4, h.l0, p.r.l4);
  add_product(d.l0, h.l1, p.s4), add_product(d.l1, h.l1, p.r.l0), add_product(d.l2, h.l1, p.r.l1);
  add_product(d.l3, h.l1, p.r.l2), add_product(d.l4, h.l1, p.r.l3);
  add_product(d.l0, h.l2, p.s3), add_product(d.l1, h.l2, p.s4), add_product(d.l2, h.l2, p.r.l0);
  add_product(d.l3, h.l2, p.r.l1), add_product(d.l4, h.l2, p.r.l2);
  add_product(d.l0, h.l3, p.s2), add_product(d.l1, h.l3, p.s3), add_product(d.l2, h.l3, p.s4);
  add_product(d.l3, h.l3, p.r.l0), add_product(d.l4, h.l3, p.r.l1);
  add_product(d.l0, h.l4, p.s1), add_product(d.l1, h.l4, p.s2), add_product(d.l2, h.l4, p.s3);
  add_product(d.l3, h.l4, p.s4), add_product(d.l4, h.l4, p.r.l0);
}

// Moves what is above 26 bits of `from` into `to`.
SMARTVPN_LANE void carry(__m256i& from, __m256i& to) {
  to = _mm256_add_epi64(to, _mm256_srli_epi64(from, 26));
  from = _mm256_and_si256(from, wide(kMask26));
}
SMARTVPN_LANE void carry_around(__m256i& from, __m256i& to) {
  const __m256i over = _mm256_srli_epi64(from, 26);
  to = _mm256_add_epi64(to, _mm256_add_epi64(over, _mm256_slli_epi64(over, 2)));
  from = _mm256_and_si256(from, wide(kMask26));
}

// Limbs of 26 bits, the second and the fifth of a few more. Two chains, so that neither waits for the other.
SMARTVPN_LANE Limbs reduced(Limbs d) {
  carry(d.l0, d.l1);
  carry(d.l3, d.l4);
  carry(d.l1, d.l2);
  carry_around(d.l4, d.l0);
  carry(d.l2, d.l3);
  carry(d.l0, d.l1);
  carry(d.l3, d.l4);
  return d;
}

SMARTVPN_LANE Limbs no_products() {
  const __m256i zero = _mm256_setzero_si256();
  return {zero, zero, zero, zero, zero};
}

SMARTVPN_LANE __m256i times5(__m256i v) { return _mm256_add_epi64(v, _mm256_slli_epi64(v, 2)); }

SMARTVPN_LANE Power power_of(const Limbs& r) { return {r, times5(r.l1), times5(r.l2), times5(r.l3), times5(r.l4)}; }

SMARTVPN_LANE Limbs times(const Limbs& h, const Power& r) {
  Limbs d = no_products();
  multiply_add(d, h, r);
  return reduced(d);
}

// N blocks at once; power[n] is r^(n+1). What does not wait for h comes first.
template <int N>
SMARTVPN_LANE Limbs fold(const Limbs& h, const Limbs* m, const Power* power) {
  Limbs d = no_products();
  if constexpr (N > 1) multiply_add(d, m[N - 1], power[0]);
  if constexpr (N > 2) multiply_add(d, m[N - 2], power[1]);
  if constexpr (N > 3) multiply_add(d, m[N - 3], power[2]);
  multiply_add(d, plus(h, m[0]), power[N - 1]);
  return reduced(d);
}

// `yes` in the lanes whose 64 bits are all set, `no` where none is.
SMARTVPN_LANE Limbs chosen(__m256i lanes, const Limbs& yes, const Limbs& no) {
  return {_mm256_blendv_epi8(no.l0, yes.l0, lanes), _mm256_blendv_epi8(no.l1, yes.l1, lanes),
          _mm256_blendv_epi8(no.l2, yes.l2, lanes), _mm256_blendv_epi8(no.l3, yes.l3, lanes),
          _mm256_blendv_epi8(no.l4, yes.l4, lanes)};
}

// Row i holds 32 bytes of packet i: turned into two blocks of all four.
SMARTVPN_LANE void two_blocks(const __m256i (&row)[4], Limbs* m) {
  const __m256i low01 = _mm256_unpacklo_epi64(row[0], row[1]), high01 = _mm256_unpackhi_epi64(row[0], row[1]);
  const __m256i low23 = _mm256_unpacklo_epi64(row[2], row[3]), high23 = _mm256_unpackhi_epi64(row[2], row[3]);
  m[0] = block(_mm256_permute2x128_si256(low01, low23, 0x20), _mm256_permute2x128_si256(high01, high23, 0x20));
  m[1] = block(_mm256_permute2x128_si256(low01, low23, 0x31), _mm256_permute2x128_si256(high01, high23, 0x31));
}

// h modulo 2^130 - 5, plus s, modulo 2^128.
SMARTVPN_LANE void finish(Limbs h, __m256i s_low, __m256i s_high, uint64_t* low_out, uint64_t* high_out) {
  // Twice around: then every limb is within its bits.
  for (int i = 0; i < 2; ++i) {
    carry(h.l0, h.l1);
    carry(h.l1, h.l2);
    carry(h.l2, h.l3);
    carry(h.l3, h.l4);
    carry_around(h.l4, h.l0);
  }
  // h + 5 reaches 2^130 where h is not below the modulus; the bits from 2^128 on fall out below.
  Limbs g = h;
  g.l0 = _mm256_add_epi64(g.l0, wide(5));
  carry(g.l0, g.l1);
  carry(g.l1, g.l2);
  carry(g.l2, g.l3);
  carry(g.l3, g.l4);
  h = chosen(_mm256_cmpgt_epi64(g.l4, wide(kMask26)), g, h);
  __m256i low = _mm256_or_si256(_mm256_or_si256(h.l0, _mm256_slli_epi64(h.l1, 26)), _mm256_slli_epi64(h.l2, 52));
  __m256i high = _mm256_or_si256(_mm256_or_si256(_mm256_srli_epi64(h.l2, 12), _mm256_slli_epi64(h.l3, 14)),
                                 _mm256_slli_epi64(h.l4, 40));
  low = _mm256_add_epi64(low, s_low);
  // An unsigned comparison by a signed one; a lane of ones is -1.
  const __m256i sign = wide(uint64_t{1} << 63);
  const __m256i carried = _mm256_cmpgt_epi64(_mm256_xor_si256(s_low, sign), _mm256_xor_si256(low, sign));
  high = _mm256_sub_epi64(_mm256_add_epi64(high, s_high), carried);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(low_out), low);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(high_out), high);
}

}  // namespace
}  // namespace smartvpn::crypto
