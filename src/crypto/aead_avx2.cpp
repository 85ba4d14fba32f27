// The multi-packet AEAD with AVX2: ChaCha20 in eight lanes, Poly1305 in four. Compiled with its own flags, entered only
// where vector_aead.cpp found the processor to have these instructions.
#include "crypto/chacha20_avx2.hpp"
#include "crypto/poly1305_avx2.hpp"

namespace smartvpn::crypto {
namespace {

// Four packets' Poly1305, from the associated data to the tag.
class Macs256 {
 public:
  SMARTVPN_LANE Macs256(const LanePolyKeys& keys, size_t first, const LaneJob* jobs, size_t count)
      : jobs_(jobs), count_(count), keys_(keys), first_(first), h_(no_products()) {
    const __m256i low = _mm256_and_si256(key_words(0), wide(0x0ffffffc0fffffff));
    const __m256i high = _mm256_and_si256(key_words(2), wide(0x0ffffffc0ffffffc));
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
  SMARTVPN_LANE __m256i key_words(size_t w) const {
    const __m256i low = _mm256_cvtepu32_epi64(_mm_load_si128(reinterpret_cast<const __m128i*>(keys_.word[w] + first_)));
    const __m256i high =
        _mm256_cvtepu32_epi64(_mm_load_si128(reinterpret_cast<const __m128i*>(keys_.word[w + 1] + first_)));
    return _mm256_or_si256(low, _mm256_slli_epi64(high, 32));
  }

  SMARTVPN_LANE const LaneJob& job(size_t lane) const { return lane_job(jobs_, count_, lane); }

  // Numbers of the lanes, and which lanes have something.
  struct alignas(32) Numbers {
    uint64_t value[kMacs256];
    SMARTVPN_LANE __m256i load() const { return _mm256_load_si256(reinterpret_cast<const __m256i*>(value)); }
  };
  static SMARTVPN_LANE uint64_t all_ones(bool yes) { return uint64_t{0} - static_cast<uint64_t>(yes); }

  SMARTVPN_LANE void associated_data() {
    for (uint32_t at = 0;; at += kPolyBlock) {
      Numbers low, high, lanes;
      bool any = false;
      for (size_t i = 0; i < kMacs256; ++i) {
        const bool has = job(i).ad_size > at;
        load_padded(has ? job(i).ad + at : nullptr, has ? job(i).ad_size - at : 0, low.value[i], high.value[i]);
        lanes.value[i] = all_ones(has);
        any |= has;
      }
      if (!any) return;
      const Limbs m = block(low.load(), high.load());
      h_ = chosen(lanes.load(), fold<1>(h_, &m, power_), h_);
    }
  }

  static SMARTVPN_LANE void load_rows(const uint8_t* const (&at)[kMacs256], size_t offset, Limbs* m) {
    __m256i row[kMacs256];
    row[0] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at[0] + offset));
    row[1] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at[1] + offset));
    row[2] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at[2] + offset));
    row[3] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at[3] + offset));
    two_blocks(row, m);
  }

  SMARTVPN_LANE void whole_blocks() {
    size_t blocks[kMacs256], fewest = SIZE_MAX, most = 0;
    const uint8_t* at[kMacs256];
    for (size_t i = 0; i < kMacs256; ++i) {
      at[i] = job(i).data;
      blocks[i] = job(i).size / kBlock;
      fewest = blocks[i] < fewest ? blocks[i] : fewest;
      most = blocks[i] > most ? blocks[i] : most;
    }
    Limbs h = h_, m[4];
    for (size_t n = 0; n < fewest; ++n) {
      load_rows(at, n * kBlock, m);
      load_rows(at, n * kBlock + 32, m + 2);
      h = fold<4>(h, m, power_);
    }
    // The longer packets go on in their lanes; the others read zeros from here, and their h stays.
    alignas(32) static constexpr uint8_t kZeros[kBlock] = {};
    for (size_t n = fewest; n < most; ++n) {
      Numbers lanes;
      const uint8_t* from[kMacs256];
      for (size_t i = 0; i < kMacs256; ++i) {
        lanes.value[i] = all_ones(blocks[i] > n);
        from[i] = blocks[i] > n ? at[i] + n * kBlock : kZeros;
      }
      load_rows(from, 0, m);
      load_rows(from, 32, m + 2);
      h = chosen(lanes.load(), fold<4>(h, m, power_), h);
    }
    h_ = h;
  }

  // What is left of the data, fewer than 64 bytes, and the block with both sizes.
  SMARTVPN_LANE void rest_and_sizes() {
    alignas(32) uint8_t padded[kMacs256][kBlock] = {};
    const uint8_t* const at[kMacs256] = {padded[0], padded[1], padded[2], padded[3]};
    Numbers ad_size, size;
    uint32_t blocks[kMacs256];
    bool alike = true;
    for (size_t i = 0; i < kMacs256; ++i) {
      const LaneJob& j = job(i);
      const uint32_t rest = j.size % kBlock;
      if (rest != 0) std::memcpy(padded[i], j.data + (j.size - rest), rest);
      blocks[i] = (rest + kPolyBlock - 1) / kPolyBlock;
      alike &= blocks[i] == blocks[0];
      ad_size.value[i] = j.ad_size;
      size.value[i] = j.size;
    }
    Limbs m[4];
    load_rows(at, 0, m);
    load_rows(at, 32, m + 2);
    const Limbs sizes = block(ad_size.load(), size.load());
    if (alike && blocks[0] < 4) {
      m[blocks[0]] = sizes;
      switch (blocks[0]) {
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
    for (uint32_t n = 0; n < 4; ++n) {
      Numbers lanes;
      for (size_t i = 0; i < kMacs256; ++i) lanes.value[i] = all_ones(blocks[i] > n);
      h_ = chosen(lanes.load(), fold<1>(h_, m + n, power_), h_);
    }
    h_ = fold<1>(h_, &sizes, power_);
  }

  const LaneJob* jobs_;
  size_t count_;
  const LanePolyKeys& keys_;
  size_t first_;
  Limbs h_;
  Power power_[4];
};

struct Avx2 {
  static constexpr size_t kBlocks = 8;
  static constexpr size_t kMacs = kMacs256;

  static SMARTVPN_LANE void poly_keys(const LaneKey& key, const LaneJob* jobs, size_t count, LanePolyKeys& keys) {
    for (size_t first = 0; first < count; first += kBlocks) {
      alignas(32) uint32_t low[kBlocks], high[kBlocks];
      alignas(32) static constexpr uint32_t kFirstBlock[kBlocks] = {};
      for (size_t i = 0; i < kBlocks; ++i) {
        const uint64_t counter = lane_job(jobs, count, first + i).counter;
        low[i] = static_cast<uint32_t>(counter);
        high[i] = static_cast<uint32_t>(counter >> 32);
      }
      ChaChaState x;
      keystream(x, key, kFirstBlock, low, high);
      auto* const at = reinterpret_cast<V*>(keys.word[0] + first);
      constexpr size_t kRow = kLaneJobs / kBlocks;
      _mm256_store_si256(at, x[0]), _mm256_store_si256(at + kRow, x[1]);
      _mm256_store_si256(at + 2 * kRow, x[2]), _mm256_store_si256(at + 3 * kRow, x[3]);
      _mm256_store_si256(at + 4 * kRow, x[4]), _mm256_store_si256(at + 5 * kRow, x[5]);
      _mm256_store_si256(at + 6 * kRow, x[6]), _mm256_store_si256(at + 7 * kRow, x[7]);
    }
  }

  static SMARTVPN_LANE void crypt(const LaneKey& key, const Units<kBlocks>& units) {
    ChaChaState x;
    keystream(x, key, units.counter, units.nonce_low, units.nonce_high);
    transpose(x);
    mix_all(units, x);
  }

  static SMARTVPN_LANE void macs(const LanePolyKeys& keys, size_t first, const LaneJob* jobs, size_t count,
                                 LaneTags& tags) {
    Macs256(keys, first, jobs, count).run(tags);
  }
};

}  // namespace

void seal_lanes_avx2(const LaneKey& key, LaneJob* jobs, size_t count) noexcept {
  seal_with<Avx2>(key, jobs, count);
  _mm256_zeroall();  // keys and keystream stay in no register
}

void open_lanes_avx2(const LaneKey& key, LaneJob* jobs, size_t count) noexcept {
  open_with<Avx2>(key, jobs, count);
  _mm256_zeroall();
}

void mac_lanes_avx2(const LanePolyKeys& keys, const LaneJob* jobs, size_t count, LaneTags& tags) noexcept {
  mac_all<Avx2>(keys, jobs, count, tags);
}

}  // namespace smartvpn::crypto
