// Batches through every back end that this machine has, against libsodium's one packet at a time.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "support/scripted_rng.hpp"
#include "support/sealed_batch.hpp"

namespace smartvpn::crypto {
namespace {

using Backend = AeadEngine::Backend;
using testing::SealedBatch;

std::vector<Backend> backends_here() {
  std::vector<Backend> here;
  for (Backend b : {Backend::openssl, Backend::sodium, Backend::avx2, Backend::avx512})
    if (AeadEngine::backend_available(b)) here.push_back(b);
  return here;
}

class AeadBatches : public ::testing::TestWithParam<Backend> {
 protected:
  AeadEngine engine_{GetParam()};
  testing::ScriptedRng rng_;
  SealedBatch batch_{rng_};

  void both_ways() {
    ASSERT_NO_FATAL_FAILURE(batch_.seal_and_check(engine_));
    ASSERT_NO_FATAL_FAILURE(batch_.open_and_check(engine_));
  }
};
INSTANTIATE_TEST_SUITE_P(, AeadBatches, ::testing::ValuesIn(backends_here()),
                         [](const auto& param) { return std::string(AeadEngine::backend_name(param.param)); });

TEST_P(AeadBatches, EveryLengthUpTo2048) {
  for (size_t size = 0; size <= 2048; ++size) {
    batch_.begin();
    for (int i = 0; i < 5; ++i) batch_.add(size, 0);
    ASSERT_NO_FATAL_FAILURE(both_ways());
  }
}

TEST_P(AeadBatches, NeighbouringLengthsSideBySide) {
  for (size_t size = 0; size <= 600; ++size) {
    batch_.begin();
    for (size_t i = 0; i < 16; ++i) batch_.add(size + i, i % 3 * 16);
    ASSERT_NO_FATAL_FAILURE(both_ways());
  }
}

TEST_P(AeadBatches, OneTo130JobsOfAnySizes) {
  for (size_t count = 1; count <= 130; ++count) {
    batch_.begin();
    for (size_t i = 0; i < count; ++i) batch_.add(count % 2 ? rng_.u32() % 1500 : 1424, rng_.u32() % 70);
    ASSERT_NO_FATAL_FAILURE(both_ways());
  }
}

// As one super-packet gives it, and several.
TEST_P(AeadBatches, EqualOnesAndAShortOneAtTheEnd) {
  for (size_t count : {4, 17, 45, 64, 128, 300}) {
    batch_.begin();
    for (size_t i = 1; i < count; ++i) batch_.add(i % 45 ? 1424 : 336, 0);
    batch_.add(64, 0);
    ASSERT_NO_FATAL_FAILURE(both_ways());
  }
}

TEST_P(AeadBatches, UpTo65KiBAndBeyondTheLimitsOfLanes) {
  batch_.begin();
  for (size_t size : {0, 66560, 66559, 16384, 1, 65536, 4096, 4097, 20000, 80}) batch_.add(size, 16);
  ASSERT_NO_FATAL_FAILURE(both_ways());
  batch_.begin();
  for (size_t ad : {0, 16, 63, 64, 65, 300, 17}) batch_.add(100, ad);
  ASSERT_NO_FATAL_FAILURE(both_ways());
}

TEST_P(AeadBatches, EveryDamagedByteIsFoundAndSpoilsNoOther) {
  batch_.begin();
  const size_t sizes[] = {0, 1, 15, 16, 17, 63, 64, 65, 130, 48};
  for (size_t i = 0; i < std::size(sizes); ++i) batch_.add(sizes[i], i % 3 * 13);
  for (size_t i = 0; i < batch_.size(); ++i)
    for (size_t byte = 0; byte < batch_.text_size(i) + kTagSize + batch_.ad_size(i); ++byte)
      ASSERT_NO_FATAL_FAILURE(batch_.open_and_check(engine_, {{i, byte, static_cast<uint8_t>(1 << byte % 8)}}));
  // Several at once, in lanes next to each other.
  ASSERT_NO_FATAL_FAILURE(batch_.open_and_check(engine_, {{0, 0, 0x80}, {1, 16, 1}, {8, 129, 1}, {9, 63, 0x80}}));
  std::vector<SealedBatch::Damage> all;
  for (size_t i = 0; i < batch_.size(); ++i) all.push_back({i, batch_.text_size(i), 0xff});
  ASSERT_NO_FATAL_FAILURE(batch_.open_and_check(engine_, all));
}

TEST_P(AeadBatches, AtEveryAddress) {
  for (size_t offset = 0; offset < 64; ++offset) {
    batch_.begin();
    for (size_t i = 0; i < 9; ++i) batch_.add(64 * i + i, 16, 16 + (offset + i) % 64, true);
    ASSERT_NO_FATAL_FAILURE(both_ways());
  }
}

TEST_P(AeadBatches, NeighboursInOneBufferAreLeftAlone) {
  const AeadKey key = testing::random_aead_key(rng_);
  for (size_t size : {0, 5, 32, 64, 100, 131}) {
    constexpr size_t kCount = 20, kHeader = 16;
    const size_t stride = kHeader + size + kTagSize;
    Bytes buffer(kCount * stride), plain;
    rng_.fill(buffer);
    plain = buffer;
    std::vector<SealJob> seal;
    std::vector<OpenJob> open;
    for (size_t i = 0; i < kCount; ++i) {
      uint8_t* const at = buffer.data() + i * stride;
      seal.push_back({i, ByteView(at, kHeader), at + kHeader, size});
      open.push_back({i, ByteView(at, kHeader), at + kHeader, size + kTagSize});
    }
    engine_.seal(key, seal);
    EXPECT_EQ(engine_.open(key, open), kCount);
    for (size_t i = 0; i < kCount; ++i)
      EXPECT_TRUE(std::equal(buffer.data() + i * stride, buffer.data() + i * stride + kHeader + size,
                             plain.data() + i * stride))
          << i << ' ' << size;
  }
}

// Every job ends where a page ends, or begins where one begins, and nothing is mapped beyond.
class GuardedPage {
 public:
  GuardedPage() : page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
    void* const got = mmap(nullptr, 3 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) std::abort();
    base_ = static_cast<uint8_t*>(got);
    if (mprotect(base_ + page_, page_, PROT_READ | PROT_WRITE) != 0) std::abort();
  }
  GuardedPage(const GuardedPage&) = delete;
  GuardedPage& operator=(const GuardedPage&) = delete;
  ~GuardedPage() { munmap(base_, 3 * page_); }
  uint8_t* first() { return base_ + page_; }
  uint8_t* ending_here(size_t size) { return base_ + 2 * page_ - size; }

 private:
  size_t page_;
  uint8_t* base_;
};

TEST_P(AeadBatches, NothingIsTouchedBesideAJob) {
  const AeadKey key = testing::random_aead_key(rng_);
  constexpr size_t kCount = 6;
  std::array<GuardedPage, kCount> pages, ads;
  for (size_t size = 0; size <= 200; ++size) {
    for (bool at_the_end : {true, false}) {
      std::vector<SealJob> seal;
      std::vector<OpenJob> open;
      for (size_t i = 0; i < kCount; ++i) {
        const size_t own = size + i, ad = (size + i) % 40;
        uint8_t* const data = at_the_end ? pages[i].ending_here(own + kTagSize) : pages[i].first();
        const ByteView ad_view(at_the_end ? ads[i].ending_here(ad) : ads[i].first(), ad);
        seal.push_back({i, ad_view, data, own});
        open.push_back({i, ad_view, data, own + kTagSize});
      }
      engine_.seal(key, seal);
      open[size % kCount].data[size + size % kCount] ^= 1;  // its tag: what failed is zeroed, and no more
      ASSERT_EQ(engine_.open(key, open), kCount - 1) << size;
    }
  }
}

TEST_P(AeadBatches, JobsThatCannotBeOpenedStandBetweenOthers) {
  const AeadKey key = testing::random_aead_key(rng_);
  std::vector<Bytes> buffers(8, Bytes(40 + kTagSize, 9));
  std::vector<SealJob> seal;
  for (size_t i = 0; i < buffers.size(); ++i) seal.push_back({i, {}, buffers[i].data(), 40});
  engine_.seal(key, seal);
  std::vector<OpenJob> open;
  for (size_t i = 0; i < buffers.size(); ++i) open.push_back({i, {}, buffers[i].data(), buffers[i].size(), true});
  open[1].size = kTagSize - 1;
  open[3].size = 0;
  open[3].data = nullptr;
  open[5].counter = kReservedCounter;
  EXPECT_EQ(engine_.open(key, open), 5u);
  for (size_t i = 0; i < open.size(); ++i) EXPECT_EQ(open[i].ok, i % 2 == 0 || i == 7) << i;
  EXPECT_EQ(Bytes(buffers[5].begin(), buffers[5].begin() + 40), Bytes(40));
}

TEST_P(AeadBatches, AnEmptyBatchIsNothing) {
  const AeadKey key = testing::random_aead_key(rng_);
  engine_.seal(key, {});
  EXPECT_EQ(engine_.open(key, {}), 0u);
}

// SMARTVPN_AEAD_PACKETS=10000000 takes minutes; the usual number tells that the test works.
TEST_P(AeadBatches, RandomPackets) {
  const char* const wanted = std::getenv("SMARTVPN_AEAD_PACKETS");
  const size_t packets = wanted ? std::strtoull(wanted, nullptr, 10) : 40000;
  for (size_t done = 0; done < packets; done += batch_.size()) {
    batch_.begin();
    const size_t count = 1 + rng_.u32() % 130, kind = rng_.u32() % 4, usual = rng_.u32() % 1500;
    for (size_t i = 0; i < count; ++i) {
      size_t size = usual;
      if (kind == 1) size = rng_.u32() % 1500;
      if (kind == 2) size = rng_.u32() % 130;
      if (kind == 3 && rng_.u32() % 50 == 0) size = rng_.u32() % 20000;
      batch_.add(size, kind == 0 ? 0 : rng_.u32() % 34);
    }
    std::vector<SealedBatch::Damage> damages;
    for (size_t i = 0; i < count; ++i)
      if (rng_.u32() % 8 == 0)
        damages.push_back(
            {i, rng_.u32() % (batch_.text_size(i) + kTagSize), static_cast<uint8_t>(1u << rng_.u32() % 8)});
    ASSERT_NO_FATAL_FAILURE(batch_.seal_and_check(engine_));
    ASSERT_NO_FATAL_FAILURE(batch_.open_and_check(engine_, damages));
  }
}

TEST_P(AeadBatches, TwoEnginesInTwoThreads) {
  auto work = [](uint32_t seed) {
    AeadEngine engine(GetParam());
    testing::ScriptedRng rng({}, seed);
    SealedBatch batch(rng);
    for (size_t round = 0; round < 20; ++round) {
      batch.begin();
      for (size_t i = 0; i < 24; ++i) batch.add(100 * round + i, 16);
      ASSERT_NO_FATAL_FAILURE(batch.seal_and_check(engine));
      ASSERT_NO_FATAL_FAILURE(batch.open_and_check(engine));
    }
  };
  std::thread other(work, 2);
  work(3);
  other.join();
}

TEST(AeadBackend, HasANameAndTheOneAskedForWhereThereIsSuch) {
  for (Backend b : {Backend::automatic, Backend::openssl, Backend::sodium, Backend::avx2, Backend::avx512}) {
    EXPECT_EQ(AeadEngine::parse_backend(AeadEngine::backend_name(b)), b);
    const Backend got = AeadEngine(b).backend();
    EXPECT_NE(got, Backend::automatic);
    if (b != Backend::automatic && AeadEngine::backend_available(b))
      EXPECT_EQ(got, b);
    else
      EXPECT_EQ(got, AeadEngine().backend());
  }
  EXPECT_EQ(AeadEngine::backend_name(Backend::avx512), "avx512");
  EXPECT_FALSE(AeadEngine::parse_backend("avx"));
  EXPECT_FALSE(AeadEngine::parse_backend(""));
}

}  // namespace
}  // namespace smartvpn::crypto
