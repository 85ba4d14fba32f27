// What the AVX2 and the AVX-512 form of the multi-packet AEAD share: how blocks of different packets are dealt to
// lanes, and the order of the steps of sealing and opening. Only those two files include this: everything is in an
// anonymous namespace and nothing of the standard library's is used, because an inline function compiled here, with
// their instructions, must never be the copy that the linker keeps for the rest of the program. Source: RFC 8439,
// section 2.8.
#pragma once

#include <cstring>

#include "crypto/vector_aead.hpp"

#define SMARTVPN_LANE inline __attribute__((always_inline))

namespace smartvpn::crypto {
namespace {

constexpr size_t kBlock = 64;      // of ChaCha20
constexpr size_t kPolyBlock = 16;  // of Poly1305
constexpr size_t kLaneTag = 16;

SMARTVPN_LANE uint64_t load64(const uint8_t* p) {
  uint64_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
SMARTVPN_LANE void store64(uint8_t* p, uint64_t v) { std::memcpy(p, &v, sizeof v); }

// Up to N blocks of any packets, of which the last of a packet may be a part of one.
template <size_t N>
struct alignas(kLaneAlignment) Units {
  uint32_t counter[N];
  uint32_t nonce_low[N];
  uint32_t nonce_high[N];
  uint32_t size[N];  // 1..64; 0: an idle lane
  uint8_t* at[N];
  bool whole;  // every size is 64
};

// Walks the blocks of all packets, one packet after the other, so that lanes are full whatever the sizes are.
class Dealer {
 public:
  // `only_ok`: leaves out the jobs that are not.
  SMARTVPN_LANE Dealer(const LaneJob* jobs, size_t count, bool only_ok)
      : job_(jobs), end_(jobs + count), only_ok_(only_ok) {
    next_job();
  }

  // False: there is nothing left.
  template <size_t N>
  SMARTVPN_LANE bool deal(Units<N>& units) {
    if (job_ == end_) return false;
    if (left_ >= N * kBlock) {
      for (size_t i = 0; i < N; ++i) put(units, i, kBlock);
      units.whole = true;
      if (left_ == 0) skip_job();
      return true;
    }
    units.whole = true;
    for (size_t i = 0; i < N; ++i) {
      if (job_ == end_) {
        units.counter[i] = units.nonce_low[i] = units.nonce_high[i] = units.size[i] = 0;
        units.at[i] = nullptr;
        units.whole = false;
        continue;
      }
      const uint32_t size = left_ < kBlock ? left_ : static_cast<uint32_t>(kBlock);
      units.whole &= size == kBlock;
      put(units, i, size);
      if (left_ == 0) skip_job();
    }
    return true;
  }

 private:
  template <size_t N>
  SMARTVPN_LANE void put(Units<N>& units, size_t i, uint32_t size) {
    units.counter[i] = block_++;
    units.nonce_low[i] = static_cast<uint32_t>(job_->counter);
    units.nonce_high[i] = static_cast<uint32_t>(job_->counter >> 32);
    units.size[i] = size;
    units.at[i] = at_;
    at_ += size;
    left_ -= size;
  }
  SMARTVPN_LANE void skip_job() {
    ++job_;
    next_job();
  }
  // The next one that has bytes, from `job_` on.
  SMARTVPN_LANE void next_job() {
    while (job_ != end_ && (job_->size == 0 || (only_ok_ && !job_->ok))) ++job_;
    if (job_ == end_) return;
    at_ = job_->data;
    left_ = job_->size;
    block_ = 1;  // 0 made the key of Poly1305
  }

  const LaneJob* job_;
  const LaneJob* end_;
  bool only_ok_;
  uint8_t* at_ = nullptr;
  uint32_t left_ = 0, block_ = 1;
};

// Unused lanes repeat the last job, and nobody reads what they compute.
SMARTVPN_LANE const LaneJob& lane_job(const LaneJob* jobs, size_t count, size_t lane) {
  return jobs[lane < count ? lane : count - 1];
}

// A part of a block of Poly1305, with zeros behind it.
SMARTVPN_LANE void load_padded(const uint8_t* from, size_t size, uint64_t& low, uint64_t& high) {
  uint8_t block[kPolyBlock] = {};
  if (size >= kPolyBlock)
    std::memcpy(block, from, kPolyBlock);
  else if (size != 0)
    std::memcpy(block, from, size);
  low = load64(block);
  high = load64(block + 8);
}

// `Set` is the instruction set: kBlocks and kMacs lanes, poly_keys(), crypt() and macs().
template <class Set>
SMARTVPN_LANE void crypt_all(const LaneKey& key, const LaneJob* jobs, size_t count, bool only_ok) {
  // The next units are dealt while this one's rounds run: otherwise those would wait for the stores.
  Units<Set::kBlocks> units[2];
  Dealer dealer(jobs, count, only_ok);
  bool more = dealer.deal(units[0]);
  for (size_t now = 0; more; now ^= 1) {
    more = dealer.deal(units[now ^ 1]);
    Set::crypt(key, units[now]);
  }
}

template <class Set>
SMARTVPN_LANE void mac_all(const LanePolyKeys& keys, const LaneJob* jobs, size_t count, LaneTags& tags) {
  for (size_t first = 0; first < count; first += Set::kMacs) Set::macs(keys, first, jobs + first, count - first, tags);
}

template <class Set>
SMARTVPN_LANE void seal_with(const LaneKey& key, LaneJob* jobs, size_t count) {
  LanePolyKeys keys;
  LaneTags tags;
  Set::poly_keys(key, jobs, count, keys);
  crypt_all<Set>(key, jobs, count, false);
  mac_all<Set>(keys, jobs, count, tags);
  for (size_t i = 0; i < count; ++i) {
    store64(jobs[i].data + jobs[i].size, tags.low[i]);
    store64(jobs[i].data + jobs[i].size + 8, tags.high[i]);
    jobs[i].ok = true;
  }
}

template <class Set>
SMARTVPN_LANE void open_with(const LaneKey& key, LaneJob* jobs, size_t count) {
  LanePolyKeys keys;
  LaneTags tags;
  Set::poly_keys(key, jobs, count, keys);
  mac_all<Set>(keys, jobs, count, tags);
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* tag = jobs[i].data + jobs[i].size;
    jobs[i].ok = ((load64(tag) ^ tags.low[i]) | (load64(tag + 8) ^ tags.high[i])) == 0;
    if (!jobs[i].ok) std::memset(jobs[i].data, 0, jobs[i].size);
  }
  crypt_all<Set>(key, jobs, count, true);
}

}  // namespace
}  // namespace smartvpn::crypto
