// The multi-packet AEAD with AVX-512 and its IFMA: ChaCha20 in sixteen lanes, Poly1305 in eight. Compiled with its own
// flags, entered only where vector_aead.cpp found the processor to have these instructions.
#include "crypto/chacha20_avx512.hpp"
#include "crypto/poly1305_avx512.hpp"

namespace smartvpn::crypto {
namespace {

// Eight packets' Poly1305, from the associated data to the tag.
class Macs512 {
 public:
  SMARTVPN_LANE Macs512(const LanePolyKeys& keys, size_t first, const LaneJob* jobs, size_t count)
      : jobs_(jobs), count_(count), keys_(keys), first_(first) {
    const __m512i zero = _mm512_setzero_si512();
    h_ = {zero, zero, zero};
    const __m512i low = _mm512_and_si512(key_words(0), wide(0x0ffffffc0fffffff));
    const __m512i high = _mm512_and_si512(key_words(2), wide(0x0ffffffc0ffffffc));
    const Limbs r = split(low, high);
    power_[0] = power_of(r);
    const Limbs r2 = times(r, power_[0]);
    power_[1] = power_of(r2);
    power_[2] = power_of(times(r2, power_[0]));
    power_[3] = power_of(times(r2, power_[1]));
  }

  SMARTVPN_LANE void run(LaneTags& tags) {
    associated_data();
    whole_blocks();
    rest_and_sizes();
    finish(h_, key_words(4), key_words(6), tags.low + first_, tags.high + first_);
  }

 private:
  // Words w and w+1 of the key block as one number a packet.
  SMARTVPN_LANE __m512i key_words(size_t w) const {
    const __m512i low =
        _mm512_cvtepu32_epi64(_mm256_load_si256(reinterpret_cast<const __m256i*>(keys_.word[w] + first_)));
    const __m512i high =
        _mm512_cvtepu32_epi64(_mm256_load_si256(reinterpret_cast<const __m256i*>(keys_.word[w + 1] + first_)));
    return _mm512_or_si512(low, _mm512_slli_epi64(high, 32));
  }

  SMARTVPN_LANE const LaneJob& job(size_t lane) const { return lane_job(jobs_, count_, lane); }

  SMARTVPN_LANE void associated_data() {
    for (uint32_t at = 0;; at += kPolyBlock) {
      alignas(64) uint64_t low[kMacs512], high[kMacs512];
      uint32_t lanes = 0;
      for (size_t i = 0; i < kMacs512; ++i) {
        const bool has = job(i).ad_size > at;
        load_padded(has ? job(i).ad + at : nullptr, has ? job(i).ad_size - at : 0, low[i], high[i]);
        lanes |= static_cast<uint32_t>(has) << i;
      }
      if (lanes == 0) return;
      const Limbs m = block(_mm512_load_si512(low), _mm512_load_si512(high));
      h_ = chosen(static_cast<__mmask8>(lanes), fold<1>(h_, &m, power_), h_);
    }
  }

  SMARTVPN_LANE void whole_blocks() {
    size_t fewest = job(0).size / kBlock, most = fewest;
    for (size_t i = 1; i < kMacs512; ++i) {
      const size_t blocks = job(i).size / kBlock;
      fewest = blocks < fewest ? blocks : fewest;
      most = blocks > most ? blocks : most;
    }
    const uint8_t* at[kMacs512];
    for (size_t i = 0; i < kMacs512; ++i) at[i] = job(i).data;
    Limbs h = h_, m[4];
    for (size_t n = 0; n < fewest; ++n) {
      __m512i row[kMacs512];
      row[0] = _mm512_loadu_si512(at[0] + n * kBlock), row[1] = _mm512_loadu_si512(at[1] + n * kBlock);
      row[2] = _mm512_loadu_si512(at[2] + n * kBlock), row[3] = _mm512_loadu_si512(at[3] + n * kBlock);
      row[4] = _mm512_loadu_si512(at[4] + n * kBlock), row[5] = _mm512_loadu_si512(at[5] + n * kBlock);
      row[6] = _mm512_loadu_si512(at[6] + n * kBlock), row[7] = _mm512_loadu_si512(at[7] + n * kBlock);
      four_blocks(row, m);
      h = fold<4>(h, m, power_);
    }
    // The longer packets go on in their lanes; in the others nothing is read, and h stays.
    for (size_t n = fewest; n < most; ++n) {
      __m512i row[kMacs512];
      uint32_t lanes = 0;
      for (size_t i = 0; i < kMacs512; ++i) {
        const bool has = job(i).size / kBlock > n;
        row[i] = has ? _mm512_loadu_si512(at[i] + n * kBlock) : _mm512_setzero_si512();
        lanes |= static_cast<uint32_t>(has) << i;
      }
      four_blocks(row, m);
      h = chosen(static_cast<__mmask8>(lanes), fold<4>(h, m, power_), h);
    }
    h_ = h;
  }

  // What is left of the data, fewer than 64 bytes, and the block with both sizes.
  SMARTVPN_LANE void rest_and_sizes() {
    __m512i row[kMacs512];
    alignas(64) uint64_t ad_size[kMacs512], size[kMacs512];
    uint32_t lanes[4] = {};
    for (size_t i = 0; i < kMacs512; ++i) {
      const LaneJob& j = job(i);
      const uint32_t rest = j.size % kBlock;
      row[i] = _mm512_maskz_loadu_epi8((__mmask64{1} << rest) - 1, j.data + (j.size - rest));
      for (uint32_t n = 0; n < 4; ++n) lanes[n] |= static_cast<uint32_t>(rest > n * kPolyBlock) << i;
      ad_size[i] = j.ad_size;
      size[i] = j.size;
    }
    Limbs m[4];
    four_blocks(row, m);
    const Limbs sizes = block(_mm512_load_si512(ad_size), _mm512_load_si512(size));
    uint32_t blocks = 0;
    bool alike = true;
    for (uint32_t has : lanes) {
      alike &= has == 0 || has == 0xff;
      blocks += has == 0xff;
    }
    if (alike && blocks < 4) {
      m[blocks] = sizes;
      switch (blocks) {
        case 0:
          h_ = fold<1>(h_, m, power_);
          break;
        case 1:
          h_ = fold<2>(h_, m, power_);
          break;
        case 2:
          h_ = fold<3>(h_, m, power_);
          break;
        default:
          h_ = fold<4>(h_, m, power_);
          break;
      }
      return;
    }
    for (size_t n = 0; n < 4; ++n) h_ = chosen(static_cast<__mmask8>(lanes[n]), fold<1>(h_, m + n, power_), h_);
    h_ = fold<1>(h_, &sizes, power_);
  }

  const LaneJob* jobs_;
  size_t count_;
  const LanePolyKeys& keys_;
  size_t first_;
  Limbs h_;
  Power power_[4];
};

struct Avx512 {
  static constexpr size_t kBlocks = 16;
  static constexpr size_t kMacs = kMacs512;

  static SMARTVPN_LANE void poly_keys(const LaneKey& key, const LaneJob* jobs, size_t count, LanePolyKeys& keys) {
    alignas(64) uint32_t low[kBlocks], high[kBlocks];
    for (size_t i = 0; i < kBlocks; ++i) {
      const uint64_t counter = lane_job(jobs, count, i).counter;
      low[i] = static_cast<uint32_t>(counter);
      high[i] = static_cast<uint32_t>(counter >> 32);
    }
    ChaChaState x;
    keystream(x, key, _mm512_setzero_si512(), words(low), words(high));
    _mm512_store_si512(keys.word[0], x[0]), _mm512_store_si512(keys.word[1], x[1]);
    _mm512_store_si512(keys.word[2], x[2]), _mm512_store_si512(keys.word[3], x[3]);
    _mm512_store_si512(keys.word[4], x[4]), _mm512_store_si512(keys.word[5], x[5]);
    _mm512_store_si512(keys.word[6], x[6]), _mm512_store_si512(keys.word[7], x[7]);
  }

  static SMARTVPN_LANE void crypt(const LaneKey& key, const Units<kBlocks>& units) {
    ChaChaState x;
    keystream(x, key, words(units.counter), words(units.nonce_low), words(units.nonce_high));
    transpose(x);
    if (units.whole)
      mix_all<true>(units, x);
    else
      mix_all<false>(units, x);
  }

  static SMARTVPN_LANE void macs(const LanePolyKeys& keys, size_t first, const LaneJob* jobs, size_t count,
                                 LaneTags& tags) {
    Macs512(keys, first, jobs, count).run(tags);
  }
};

// Keys and keystream stay in no register; the upper sixteen have no instruction for that.
SMARTVPN_LANE void clear_registers() {
  __asm__ volatile(
      "vzeroall\n\t"
      "vpxord %%zmm16, %%zmm16, %%zmm16\n\tvpxord %%zmm17, %%zmm17, %%zmm17\n\t"
      "vpxord %%zmm18, %%zmm18, %%zmm18\n\tvpxord %%zmm19, %%zmm19, %%zmm19\n\t"
      "vpxord %%zmm20, %%zmm20, %%zmm20\n\tvpxord %%zmm21, %%zmm21, %%zmm21\n\t"
      "vpxord %%zmm22, %%zmm22, %%zmm22\n\tvpxord %%zmm23, %%zmm23, %%zmm23\n\t"
      "vpxord %%zmm24, %%zmm24, %%zmm24\n\tvpxord %%zmm25, %%zmm25, %%zmm25\n\t"
      "vpxord %%zmm26, %%zmm26, %%zmm26\n\tvpxord %%zmm27, %%zmm27, %%zmm27\n\t"
      "vpxord %%zmm28, %%zmm28, %%zmm28\n\tvpxord %%zmm29, %%zmm29, %%zmm29\n\t"
      "vpxord %%zmm30, %%zmm30, %%zmm30\n\tvpxord %%zmm31, %%zmm31, %%zmm31" ::
          : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
            "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24",
            "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
}

}  // namespace

void seal_lanes_avx512(const LaneKey& key, LaneJob* jobs, size_t count) noexcept {
  seal_with<Avx512>(key, jobs, count);
  clear_registers();
}

void open_lanes_avx512(const LaneKey& key, LaneJob* jobs, size_t count) noexcept {
  open_with<Avx512>(key, jobs, count);
  clear_registers();
}

void mac_lanes_avx512(const LanePolyKeys& keys, const LaneJob* jobs, size_t count, LaneTags& tags) noexcept {
  mac_all<Avx512>(keys, jobs, count, tags);
}

}  // namespace smartvpn::crypto
