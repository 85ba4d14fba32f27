// A batch of packets for the AEAD's batch interface, and what must come of it: the tags and ciphertexts that libsodium
// makes, one packet after the other.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "crypto/aead.hpp"
#include "crypto/aead_oneshot.hpp"

namespace smartvpn::testing {

// Random bytes by the slice, because a generator would take longer than what is tested.
class RandomPool {
 public:
  explicit RandomPool(Rng& rng) : pool_(1 << 18) { rng.fill(pool_); }
  // At most 128 KiB.
  void fill(Rng& rng, ByteSpan out) {
    const size_t at = rng.u32() % (pool_.size() / 2);
    std::copy_n(pool_.begin() + static_cast<ptrdiff_t>(at), out.size(), out.begin());
    if (out.size() >= 4) store_le32(out.data(), rng.u32());  // no two alike
  }

 private:
  Bytes pool_;
};

inline crypto::AeadKey random_aead_key(Rng& rng) {
  SecretKey key;
  rng.fill(key.span());
  return crypto::AeadKey(std::move(key));
}

class SealedBatch {
 public:
  explicit SealedBatch(Rng& rng) : rng_(rng), pool_(rng), key_(random_aead_key(rng)) {}

  void begin() {
    key_ = random_aead_key(rng_);
    packets_.clear();
  }
  // `headroom` bytes stand in front of the data, so that it can be at any address; the last of them are the associated
  // data where `ad_in_front` is set.
  void add(size_t size, size_t ad_size, size_t headroom = 0, bool ad_in_front = false) {
    Packet p;
    p.counter = rng_.u64() >> 1;
    p.headroom = headroom;
    p.plain.resize(size);
    pool_.fill(rng_, p.plain);
    p.ad.resize(ad_size);
    pool_.fill(rng_, p.ad);
    p.ad_in_front = ad_in_front;
    p.sealed.resize(size + crypto::kTagSize);
    crypto::chacha20_poly1305_seal(key_.view(), crypto::counter_nonce(p.counter), p.ad, p.plain, p.sealed.data());
    p.work.assign(headroom + p.sealed.size(), 0xa5);
    if (ad_in_front) std::copy(p.ad.begin(), p.ad.end(), p.work.begin() + static_cast<ptrdiff_t>(headroom - ad_size));
    packets_.push_back(std::move(p));
  }

  size_t size() const { return packets_.size(); }
  size_t text_size(size_t i) const { return packets_[i].plain.size(); }
  size_t ad_size(size_t i) const { return packets_[i].ad.size(); }

  // Fills in the plaintexts, seals, compares.
  void seal_and_check(crypto::AeadEngine& engine) {
    std::vector<crypto::SealJob> jobs;
    for (Packet& p : packets_) {
      std::copy(p.plain.begin(), p.plain.end(), p.data());
      jobs.push_back({p.counter, p.ad_view(), p.data(), p.plain.size()});
    }
    engine.seal(key_, jobs);
    for (size_t i = 0; i < size(); ++i) {
      ASSERT_TRUE(std::equal(packets_[i].sealed.begin(), packets_[i].sealed.end(), packets_[i].data()))
          << "packet " << i << " of " << size() << ", " << text_size(i) << " bytes, ad " << ad_size(i);
      ASSERT_TRUE(packets_[i].headroom_untouched()) << i;
    }
  }

  // What of a packet is changed before it is opened: a byte of ciphertext and tag, or behind them one of `ad`.
  struct Damage {
    size_t packet;
    size_t byte;
    uint8_t mask = 1;
  };
  void open_and_check(crypto::AeadEngine& engine, const std::vector<Damage>& damages = {}) {
    std::vector<crypto::OpenJob> jobs;
    std::vector<bool> damaged(size());
    for (Packet& p : packets_) std::copy(p.sealed.begin(), p.sealed.end(), p.data());
    for (const Damage& damage : damages) {
      packets_[damage.packet].byte(damage.byte) ^= damage.mask;
      damaged[damage.packet] = true;
    }
    for (Packet& p : packets_) jobs.push_back({p.counter, p.ad_view(), p.data(), p.sealed.size()});
    const size_t opened = engine.open(key_, jobs);
    for (const Damage& damage : damages)
      if (damage.byte >= packets_[damage.packet].sealed.size())
        packets_[damage.packet].byte(damage.byte) ^= damage.mask;
    size_t good = 0;
    for (size_t i = 0; i < size(); ++i) {
      const Packet& p = packets_[i];
      good += !damaged[i];
      ASSERT_EQ(jobs[i].ok, !damaged[i]) << "packet " << i << " of " << size() << ", " << text_size(i) << " bytes";
      const Bytes zeros(damaged[i] ? p.plain.size() : 0);
      const Bytes& expected = damaged[i] ? zeros : p.plain;
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), jobs[i].data)) << "packet " << i << " of " << size();
    }
    ASSERT_EQ(opened, good);
  }

 private:
  struct Packet {
    uint64_t counter = 0;
    size_t headroom = 0;
    bool ad_in_front = false;
    Bytes plain, ad, sealed, work;
    uint8_t* data() { return work.data() + headroom; }
    ByteView ad_view() { return ad_in_front ? ByteView(data() - ad.size(), ad.size()) : ByteView(ad); }
    bool headroom_untouched() const {
      const size_t free = headroom - (ad_in_front ? ad.size() : 0);
      return std::all_of(work.begin(), work.begin() + static_cast<ptrdiff_t>(free),
                         [](uint8_t b) { return b == 0xa5; });
    }
    uint8_t& byte(size_t i) {
      if (i < sealed.size()) return data()[i];
      const size_t at = i - sealed.size();
      return ad_in_front ? *(data() - ad.size() + at) : ad[at];
    }
  };

  Rng& rng_;
  RandomPool pool_;
  crypto::AeadKey key_;
  std::vector<Packet> packets_;
};

}  // namespace smartvpn::testing
