#include "inet/checksum.hpp"

#include <algorithm>
#include <bit>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define SMARTVPN_CHECKSUM_AVX2 1
#endif

namespace smartvpn::inet {
namespace {

// A ones'-complement sum does not depend on byte order (RFC 1071, 2(B)), so words are added as this
// machine reads them and the folded result is turned once at the end.
uint16_t to_big_endian_sum(uint64_t native) noexcept {
  uint16_t folded = fold_sum(native);
  if constexpr (std::endian::native == std::endian::little) {
    folded = static_cast<uint16_t>(folded << 8 | folded >> 8);
  }
  return folded;
}

uint64_t add_carry(uint64_t a, uint64_t b) noexcept {
  uint64_t sum = a + b;
  return sum + (sum < b ? 1 : 0);
}

uint64_t load_native(const uint8_t* p) noexcept {
  uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// Native sum of `size` bytes; four chains hide the latency of the carry.
uint64_t sum_words(const uint8_t* p, size_t size) noexcept {
  uint64_t a = 0, b = 0, c = 0, d = 0;
  for (; size >= 32; p += 32, size -= 32) {
    a = add_carry(a, load_native(p));
    b = add_carry(b, load_native(p + 8));
    c = add_carry(c, load_native(p + 16));
    d = add_carry(d, load_native(p + 24));
  }
  for (; size >= 8; p += 8, size -= 8) a = add_carry(a, load_native(p));
  // What is left in steps of fixed sizes: a copy of unknown length would be a call.
  if ((size & 4) != 0) {
    uint32_t word;
    std::memcpy(&word, p, sizeof word);
    b = add_carry(b, word);
    p += sizeof word;
  }
  if ((size & 2) != 0) {
    uint16_t word;
    std::memcpy(&word, p, sizeof word);
    c = add_carry(c, word);
    p += sizeof word;
  }
  if ((size & 1) != 0) {
    const uint8_t pair[2] = {*p, 0};  // as if a zero byte followed
    uint16_t word;
    std::memcpy(&word, pair, sizeof word);
    d = add_carry(d, word);
  }
  return add_carry(add_carry(a, b), add_carry(c, d));
}

#ifdef SMARTVPN_CHECKSUM_AVX2
// As sum_words(), for sizes that are worth it: 32-bit words are added into 64-bit lanes, which cannot
// overflow below 16 GiB. With kCopy, what has been read is written to `to`.
template <bool kCopy>
__attribute__((target("avx2"))) uint64_t sum_words_avx2(const uint8_t* p, size_t size, uint8_t* to) noexcept {
  const __m256i low = _mm256_set1_epi64x(0xffffffff);
  __m256i even = _mm256_setzero_si256(), odd = even, even2 = even, odd2 = even;
  for (; size >= 64; p += 64, size -= 64) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i y = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32));
    if constexpr (kCopy) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 32), y);
      to += 64;
    }
    even = _mm256_add_epi64(even, _mm256_and_si256(x, low));
    odd = _mm256_add_epi64(odd, _mm256_srli_epi64(x, 32));
    even2 = _mm256_add_epi64(even2, _mm256_and_si256(y, low));
    odd2 = _mm256_add_epi64(odd2, _mm256_srli_epi64(y, 32));
  }
  if constexpr (kCopy) std::memcpy(to, p, size);
  alignas(32) uint64_t lanes[4];
  const __m256i all = _mm256_add_epi64(_mm256_add_epi64(even, odd), _mm256_add_epi64(even2, odd2));
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), all);
  return add_carry(lanes[0] + lanes[1] + lanes[2] + lanes[3], sum_words(p, size));
}
constexpr size_t kWorthAvx2 = 128;

bool has_avx2() noexcept {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}
#endif

}  // namespace

uint16_t sum_bytes(ByteView bytes) noexcept {
#ifdef SMARTVPN_CHECKSUM_AVX2
  if (bytes.size() >= kWorthAvx2 && has_avx2())
    return to_big_endian_sum(sum_words_avx2<false>(bytes.data(), bytes.size(), nullptr));
#endif
  return to_big_endian_sum(sum_words(bytes.data(), bytes.size()));
}

uint16_t copy_and_sum(uint8_t* to, ByteView from) noexcept {
#ifdef SMARTVPN_CHECKSUM_AVX2
  if (from.size() >= kWorthAvx2 && has_avx2())
    return to_big_endian_sum(sum_words_avx2<true>(from.data(), from.size(), to));
#endif
  std::copy(from.begin(), from.end(), to);
  return sum_bytes(from);
}

uint32_t pseudo_header_sum(const uint8_t* ip_header, uint8_t protocol, uint32_t length) noexcept {
  const bool v6 = ip_header[0] >> 4 == 6;
  const uint16_t addresses = v6 ? sum_bytes({ip_header + 8, 32}) : sum_bytes({ip_header + 12, 8});
  return uint32_t{addresses} + protocol + (length >> 16) + (length & 0xffff);
}

uint32_t pseudo_header_sum(const IpAddress& src, const IpAddress& dst, uint8_t protocol, uint32_t length) noexcept {
  return uint32_t{sum_bytes(src.bytes())} + sum_bytes(dst.bytes()) + protocol + (length >> 16) + (length & 0xffff);
}

}  // namespace smartvpn::inet
