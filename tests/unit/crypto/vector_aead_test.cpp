// The lanes themselves, with every instruction set of this machine: what the batch interface cannot ask for.
#include "crypto/vector_aead.hpp"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sodium.h>
#include <sys/mman.h>

#include "support/scripted_rng.hpp"
#include "support/sealed_batch.hpp"
#include "support/vector_files.hpp"

namespace smartvpn::crypto {
namespace {

using testing::load_vectors;
using testing::unhex;
using testing::unhex_array;

__extension__ using Wide = unsigned __int128;

std::vector<VectorUnit> units_here() {
  std::vector<VectorUnit> here;
  for (VectorUnit unit : {VectorUnit::avx2, VectorUnit::avx512})
    if (vector_unit_available(unit)) here.push_back(unit);
  return here;
}

TEST(Lanes, NoneIsNoUnitAndTheWiderImpliesTheNarrower) {
  EXPECT_FALSE(vector_unit_available(VectorUnit::none));
  const bool narrow = vector_unit_available(VectorUnit::avx2), wide = vector_unit_available(VectorUnit::avx512);
  EXPECT_TRUE(narrow || !wide);
#if defined(__x86_64__) && !defined(__ILP32__)
  // The compiler's own look at the processor and the kernel.
  EXPECT_TRUE(!narrow || __builtin_cpu_supports("avx2"));
  EXPECT_TRUE(!wide || __builtin_cpu_supports("avx512ifma"));
#endif
}

// In lane 0, and in all of them.
void check_both_ways(VectorUnit unit, ByteView key, ByteView nonce, ByteView ad, const Bytes& message,
                     ByteView sealed) {
  const LaneKey lane_key = make_lane_key(key.data(), load_le32(nonce.data()));
  for (size_t count : {size_t{1}, size_t{5}, kLaneJobs}) {
    std::vector<Bytes> work(count, message);
    std::vector<LaneJob> jobs(count);
    for (size_t i = 0; i < count; ++i) {
      work[i].resize(sealed.size());
      jobs[i] = {load_le64(nonce.data() + 4),           ad.data(), work[i].data(), static_cast<uint32_t>(ad.size()),
                 static_cast<uint32_t>(message.size()), false};
    }
    seal_lanes(unit, lane_key, jobs.data(), count);
    for (const Bytes& each : work) ASSERT_EQ(each, Bytes(sealed.begin(), sealed.end()));
    open_lanes(unit, lane_key, jobs.data(), count);
    for (size_t i = 0; i < count; ++i) {
      ASSERT_TRUE(jobs[i].ok);
      work[i].resize(message.size());
      ASSERT_EQ(work[i], message);
    }
  }
}

// RFC 8439, section 2.8.2.
TEST(Lanes, AgreeWithTheRfc) {
  const std::string text =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be "
      "it.";
  Bytes key(32);
  for (size_t i = 0; i < 32; ++i) key[i] = static_cast<uint8_t>(0x80 + i);
  const Bytes sealed = *from_hex(
      "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b29"
      "05d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b"
      "61161ae10b594f09e26a7e902ecbd0600691");
  for (VectorUnit unit : units_here())
    check_both_ways(unit, key, *from_hex("070000004041424344454647"), *from_hex("50515253c0c1c2c3c4c5c6c7"),
                    Bytes(text.begin(), text.end()), sealed);
}

TEST(Lanes, AgreeWithWycheproof) {
  const auto file = load_vectors("wycheproof_chacha20_poly1305.json");
  for (VectorUnit unit : units_here()) {
    size_t valid = 0, refused = 0;
    for (const auto& group : file["testGroups"]) {
      if (group["ivSize"] != 96) continue;
      for (const auto& test : group["tests"]) {
        SCOPED_TRACE(test["tcId"].get<int>());
        const Bytes key = unhex(test["key"]), nonce = unhex(test["iv"]), ad = unhex(test["aad"]);
        const Bytes message = unhex(test["msg"]);
        Bytes sealed = unhex(test["ct"]);
        append(sealed, unhex(test["tag"]));
        if (test["result"] == "valid") {
          ++valid;
          check_both_ways(unit, key, nonce, ad, message, sealed);
          continue;
        }
        ++refused;
        const auto size = static_cast<uint32_t>(message.size());
        LaneJob job{load_le64(nonce.data() + 4),      ad.data(), sealed.data(),
                    static_cast<uint32_t>(ad.size()), size,      true};
        open_lanes(unit, make_lane_key(key.data(), load_le32(nonce.data())), &job, 1);
        EXPECT_FALSE(job.ok);
        EXPECT_EQ(Bytes(sealed.begin(), sealed.begin() + size), Bytes(size));
      }
    }
    EXPECT_EQ(valid, 256u);
    EXPECT_EQ(refused, 60u);
  }
}

// Keys and texts in which every limb and every carry is as large as it gets.
class PolyLanes {
 public:
  // The one-time key of a lane: r before it is clamped, then s.
  void set_key(size_t lane, Wide r, Wide s) {
    uint8_t* const key = keys_[lane].data();
    store_le64(key, static_cast<uint64_t>(r)), store_le64(key + 8, static_cast<uint64_t>(r >> 64));
    store_le64(key + 16, static_cast<uint64_t>(s)), store_le64(key + 24, static_cast<uint64_t>(s >> 64));
    for (size_t w = 0; w < 8; ++w) words_.word[w][lane] = load_le32(key + 4 * w);
  }
  void set_text(size_t lane, Bytes ad, Bytes text) {
    ads_[lane] = std::move(ad);
    texts_[lane] = std::move(text);
    jobs_[lane] = {0,
                   ads_[lane].data(),
                   texts_[lane].data(),
                   static_cast<uint32_t>(ads_[lane].size()),
                   static_cast<uint32_t>(texts_[lane].size()),
                   false};
  }
  void check(VectorUnit unit) {
    LaneTags tags{};
    mac_lanes(unit, words_, jobs_.data(), kLaneJobs, tags);
    for (size_t i = 0; i < kLaneJobs; ++i) {
      Bytes message = ads_[i];
      message.resize((message.size() + 15) / 16 * 16);
      append(message, texts_[i]);
      message.resize((message.size() + 15) / 16 * 16);
      uint8_t sizes[16], tag[16];
      store_le64(sizes, ads_[i].size()), store_le64(sizes + 8, texts_[i].size());
      append(message, sizes);
      crypto_onetimeauth_poly1305(tag, message.data(), message.size(), keys_[i].data());
      ASSERT_EQ(tags.low[i], load_le64(tag)) << "lane " << i << ", " << texts_[i].size() << " bytes";
      ASSERT_EQ(tags.high[i], load_le64(tag + 8)) << "lane " << i << ", " << texts_[i].size() << " bytes";
    }
  }

 private:
  LanePolyKeys words_{};
  std::array<std::array<uint8_t, 32>, kLaneJobs> keys_{};
  std::array<Bytes, kLaneJobs> ads_, texts_;
  std::array<LaneJob, kLaneJobs> jobs_;
};

TEST(Lanes, ExtremeKeysAndTextsCarryRight) {
  const Wide ones = ~Wide{0};
  const Wide keys[] = {ones, 0, 1, 4, ones << 64, ones >> 64, ones << 32, Wide{0x0ffffffc0ffffffc} << 64};
  const uint8_t fills[] = {0xff, 0x00, 0x80, 0xfb};
  for (VectorUnit unit : units_here()) {
    PolyLanes lanes;
    for (size_t size = 0; size <= 400; ++size) {
      for (size_t i = 0; i < kLaneJobs; ++i) {
        lanes.set_key(i, keys[i % std::size(keys)], i % 3 ? ones : 0);
        const uint8_t fill = fills[(i + size) / 4 % std::size(fills)];
        lanes.set_text(i, Bytes(i % 2 * size % 64, fill), Bytes(size, fill));
      }
      ASSERT_NO_FATAL_FAILURE(lanes.check(unit));
    }
  }
}

// With r = 1 the sum of the blocks is what is reduced: 3 * 2^128 and texts that take it to the modulus and around.
TEST(Lanes, SumsAroundTheModulusAreReduced) {
  for (VectorUnit unit : units_here()) {
    for (int first = -40; first <= 40; first += 16) {
      PolyLanes lanes;
      for (size_t i = 0; i < kLaneJobs; ++i) {
        const Wide sizes = Wide{32} << 64;
        const Wide wanted = Wide{0} - 5 - sizes + static_cast<Wide>(first + static_cast<int>(i));
        Bytes text(32);
        store_le64(text.data(), static_cast<uint64_t>(wanted));
        store_le64(text.data() + 8, static_cast<uint64_t>(wanted >> 64));
        lanes.set_key(i, 1, i % 2 ? ~Wide{0} : 0);
        lanes.set_text(i, {}, text);
      }
      ASSERT_NO_FATAL_FAILURE(lanes.check(unit));
    }
  }
}

// What a batch leaves on its thread's stack: no part of keys, of one-time keys, of keystream.
class Remains {
 public:
  Remains(AeadEngine::Backend backend, bool open) : engine_(backend), open_(open) {
    testing::ScriptedRng rng;
    key_ = testing::random_aead_key(rng);
    for (size_t i = 0; i < kLaneJobs; ++i) {
      buffers_[i].assign(200 + kTagSize, 0);
      seal_[i] = {i, {}, buffers_[i].data(), 200};
      opened_[i] = {i, {}, buffers_[i].data(), buffers_[i].size(), false};
    }
    if (open) engine_.seal(key_, seal_);
    add_patterns();
  }

  size_t found() {
    constexpr size_t kStack = 512 * 1024;
    void* const stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    EXPECT_EQ(pthread_attr_setstack(&attributes, stack, kStack), 0);
    EXPECT_EQ(pthread_create(&thread, &attributes, run, this), 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
    size_t count = 0;
    const auto* const bytes = static_cast<const uint8_t*>(stack);
    for (size_t at = 0; at + 8 <= kStack; at += 4) {
      const uint64_t here = load_le64(bytes + at);
      if (here != 0) count += static_cast<size_t>(std::count(patterns_.begin(), patterns_.end(), here));
    }
    munmap(stack, kStack);
    return count;
  }

 private:
  static void* run(void* self) {
    auto* const r = static_cast<Remains*>(self);
    if (r->open_)
      r->engine_.open(r->key_, r->opened_);
    else
      r->engine_.seal(r->key_, r->seal_);
    return nullptr;
  }
  void add_patterns() {
    for (size_t at = 0; at < 32; at += 8) patterns_.push_back(load_le64(key_.view().data() + at));
    for (uint64_t i = 0; i < kLaneJobs; ++i) {
      uint8_t block[128] = {};
      crypto_stream_chacha20_ietf_xor(block, block, sizeof block, counter_nonce(i).data(), key_.view().data());
      for (size_t at : {0, 8, 16, 24}) patterns_.push_back(load_le64(block + at));
      patterns_.push_back(load_le64(block) & 0x0ffffffc0fffffff & ((uint64_t{1} << 44) - 1));  // the lowest limbs of r
      patterns_.push_back(load_le64(block) & 0x0ffffffc0fffffff & ((uint64_t{1} << 26) - 1));
      // Of what was zeros, the ciphertext is the keystream, which is no secret; of what was opened, it is.
      if (open_) patterns_.push_back(load_le64(block + 64));
    }
  }

  AeadEngine engine_;
  bool open_;
  AeadKey key_;
  std::array<Bytes, kLaneJobs> buffers_;
  std::array<SealJob, kLaneJobs> seal_;
  std::array<OpenJob, kLaneJobs> opened_;
  std::vector<uint64_t> patterns_;
};

TEST(Lanes, LeaveNoSecretOnTheStack) {
  for (AeadEngine::Backend backend : {AeadEngine::Backend::avx2, AeadEngine::Backend::avx512})
    for (bool open : {false, true}) EXPECT_EQ(Remains(backend, open).found(), 0u) << AeadEngine::backend_name(backend);
}

}  // namespace
}  // namespace smartvpn::crypto
