#include "crypto/aead.hpp"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include "crypto/aead_oneshot.hpp"
#include "support/scripted_rng.hpp"
#include "support/vector_files.hpp"

namespace smartvpn::crypto {
namespace {

using Backend = AeadEngine::Backend;
using testing::load_vectors;
using testing::unhex;
using testing::unhex_array;

Bytes joined(ByteView a, ByteView b) {
  Bytes out(a.begin(), a.end());
  append(out, b);
  return out;
}

class AeadEngines : public ::testing::TestWithParam<Backend> {
 protected:
  AeadEngine engine_{GetParam()};
  testing::ScriptedRng rng_;
  AeadKey random_key() {
    SecretKey key;
    rng_.fill(key.span());
    return AeadKey(std::move(key));
  }
};
std::vector<Backend> backends_to_try() {
  std::vector<Backend> here;
  for (Backend b : {Backend::openssl, Backend::sodium, Backend::avx2, Backend::avx512})
    if (AeadEngine::backend_available(b)) here.push_back(b);
  return here;
}
INSTANTIATE_TEST_SUITE_P(, AeadEngines, ::testing::ValuesIn(backends_to_try()),
                         [](const auto& param) { return std::string(AeadEngine::backend_name(param.param)); });

TEST_P(AeadEngines, UsesTheBackendAskedFor) { EXPECT_EQ(engine_.backend(), GetParam()); }

TEST_P(AeadEngines, AgreesWithWycheproof) {
  size_t cases = 0, invalid = 0;
  const auto file = load_vectors("wycheproof_chacha20_poly1305.json");
  for (const auto& group : file["testGroups"]) {
    for (const auto& test : group["tests"]) {
      SCOPED_TRACE(test["tcId"].get<int>());
      ++cases;
      const bool valid = test["result"] == "valid";
      invalid += !valid;
      if (group["ivSize"] != 96) {  // our nonce is a 12-byte type: other lengths cannot be asked for
        EXPECT_FALSE(valid);
        continue;
      }
      const AeadKey key(SecretKey(unhex_array<32>(test["key"])));
      const auto nonce = unhex_array<12>(test["iv"]);
      const Bytes ad = unhex(test["aad"]), message = unhex(test["msg"]);
      const Bytes sealed = joined(unhex(test["ct"]), unhex(test["tag"]));

      Bytes work = sealed;
      EXPECT_EQ(engine_.open_with_nonce(key, nonce, ad, work.data(), work.size()), valid);
      work.resize(message.size());
      EXPECT_EQ(work, valid ? message : Bytes(message.size()));
      if (!valid) continue;
      work = joined(message, Bytes(kTagSize));
      engine_.seal_with_nonce(key, nonce, ad, work.data(), message.size());
      EXPECT_EQ(work, sealed);
    }
  }
  EXPECT_EQ(cases, 325u);
  EXPECT_EQ(invalid, 69u);
}

// Several jobs of all sizes in one buffer, sealed in place, must be what single seals give.
TEST_P(AeadEngines, ABatchIsSealedAndOpenedInPlace) {
  const AeadKey key = random_key();
  const size_t sizes[] = {0, 1, 15, 16, 63, 64, 65, 255, 1420, 16384, 66560};
  constexpr size_t kHeader = 16;
  std::vector<Bytes> plain, buffers;
  std::vector<SealJob> seal;
  for (size_t i = 0; i < std::size(sizes); ++i) {
    plain.emplace_back(sizes[i]);
    rng_.fill(plain.back());
    buffers.push_back(joined(joined(Bytes(kHeader, static_cast<uint8_t>(i)), plain.back()), Bytes(kTagSize)));
  }
  for (size_t i = 0; i < buffers.size(); ++i)
    seal.push_back({1000 + i, ByteView(buffers[i]).first(kHeader), buffers[i].data() + kHeader, sizes[i]});
  engine_.seal(key, seal);

  std::vector<OpenJob> open;
  for (size_t i = 0; i < buffers.size(); ++i) {
    Bytes expected(sizes[i] + kTagSize);
    chacha20_poly1305_seal(key.view(), counter_nonce(1000 + i), ByteView(buffers[i]).first(kHeader), plain[i],
                           expected.data());
    ASSERT_EQ(Bytes(buffers[i].begin() + kHeader, buffers[i].end()), expected) << sizes[i];
    open.push_back({1000 + i, ByteView(buffers[i]).first(kHeader), buffers[i].data() + kHeader, sizes[i] + kTagSize});
  }
  EXPECT_EQ(engine_.open(key, open), buffers.size());
  for (size_t i = 0; i < buffers.size(); ++i) {
    EXPECT_TRUE(open[i].ok);
    EXPECT_EQ(as_text({open[i].data, sizes[i]}), as_text(plain[i]));
  }
}

TEST_P(AeadEngines, OneBadJobSpoilsNoOther) {
  const AeadKey key = random_key();
  std::vector<Bytes> buffers(4, Bytes(100 + kTagSize, 7));
  std::vector<SealJob> seal;
  for (size_t i = 0; i < 4; ++i) seal.push_back({i, {}, buffers[i].data(), 100});
  engine_.seal(key, seal);
  buffers[1][50] ^= 1;
  std::vector<OpenJob> open;
  for (size_t i = 0; i < 4; ++i) open.push_back({i, {}, buffers[i].data(), buffers[i].size()});
  open[2].counter = 9;
  EXPECT_EQ(engine_.open(key, open), 2u);
  EXPECT_TRUE(open[0].ok);
  EXPECT_FALSE(open[1].ok);
  EXPECT_FALSE(open[2].ok);
  EXPECT_TRUE(open[3].ok);
  EXPECT_EQ(Bytes(buffers[1].begin(), buffers[1].begin() + 100), Bytes(100)) << "unauthenticated bytes stayed readable";
  EXPECT_EQ(Bytes(buffers[3].begin(), buffers[3].begin() + 100), Bytes(100, 7));
  EXPECT_EQ(ERR_peek_error(), 0u) << "TLS on this thread would take it for its own";
}

TEST_P(AeadEngines, EveryFlippedBitAndEveryTruncationIsRefused) {
  const AeadKey key = random_key();
  const Bytes ad(16, 3), plain(37, 5);
  Bytes sealed = joined(plain, Bytes(kTagSize));
  SealJob seal{5, ad, sealed.data(), plain.size()};
  engine_.seal(key, {&seal, 1});
  auto opens = [&](Bytes message, const Bytes& with_ad, uint64_t counter) {
    OpenJob job{counter, with_ad, message.data(), message.size(), true};
    const size_t opened = engine_.open(key, {&job, 1});
    EXPECT_EQ(opened, job.ok ? 1u : 0u);
    return job.ok;
  };
  ASSERT_TRUE(opens(sealed, ad, 5));
  EXPECT_FALSE(opens(sealed, ad, 6));
  EXPECT_FALSE(opens(sealed, {}, 5));
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Bytes bad = sealed;
    bad[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    EXPECT_FALSE(opens(bad, ad, 5)) << bit;
  }
  for (size_t bit = 0; bit < ad.size() * 8; ++bit) {
    Bytes bad = ad;
    bad[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    EXPECT_FALSE(opens(sealed, bad, 5)) << bit;
  }
  for (size_t size = 0; size < sealed.size(); ++size)
    EXPECT_FALSE(opens(Bytes(sealed.begin(), sealed.begin() + static_cast<ptrdiff_t>(size)), ad, 5));
  EXPECT_FALSE(opens(joined(sealed, Bytes(1)), ad, 5));
}

TEST_P(AeadEngines, TheReservedCounterNeverOpens) {
  const AeadKey key = random_key();
  Bytes sealed(10 + kTagSize);
  engine_.seal_with_nonce(key, counter_nonce(kReservedCounter), {}, sealed.data(), 10);
  OpenJob job{kReservedCounter, {}, sealed.data(), sealed.size()};
  EXPECT_EQ(engine_.open(key, {&job, 1}), 0u);
}

#ifdef NDEBUG
TEST_P(AeadEngines, SealingUnderTheReservedCounterGivesZeros) {
  Bytes data(10 + kTagSize, 9);
  SealJob job{kReservedCounter, {}, data.data(), 10};
  engine_.seal(random_key(), {&job, 1});
  EXPECT_EQ(data, Bytes(data.size()));
}
#else
TEST_P(AeadEngines, SealingUnderTheReservedCounterIsOurBug) {
  Bytes data(10 + kTagSize, 9);
  SealJob job{kReservedCounter, {}, data.data(), 10};
  EXPECT_DEATH(engine_.seal(random_key(), {&job, 1}), "");
}
#endif

TEST(AeadEngine, TheBackendsUnderstandEachOtherUnderChangingKeys) {
  AeadEngine openssl(Backend::openssl), sodium(Backend::sodium);
  testing::ScriptedRng rng;
  for (int round = 0; round < 500; ++round) {
    SecretKey secret;
    rng.fill(secret.span());
    const AeadKey key(std::move(secret));
    Bytes plain(rng.u32() % 3000), ad(rng.u32() % 40);
    rng.fill(plain);
    rng.fill(ad);
    const uint64_t counter = rng.u64() >> 1;
    Bytes work = joined(plain, Bytes(kTagSize));
    SealJob seal{counter, ad, work.data(), plain.size()};
    (round % 2 ? openssl : sodium).seal(key, {&seal, 1});
    OpenJob open{counter, ad, work.data(), work.size()};
    ASSERT_EQ((round % 2 ? sodium : openssl).open(key, {&open, 1}), 1u);
    work.resize(plain.size());
    ASSERT_EQ(work, plain);
  }
}

TEST(AeadEngine, MovesWithItsContexts) {
  AeadEngine first(Backend::openssl);
  AeadEngine second(std::move(first));
  EXPECT_EQ(second.backend(), Backend::openssl);
  EXPECT_EQ(first.backend(), Backend::sodium);
}

TEST(XChaCha20Poly1305, AgreesWithWycheproof) {
  size_t cases = 0, invalid = 0;
  const auto file = load_vectors("wycheproof_xchacha20_poly1305.json");
  for (const auto& group : file["testGroups"]) {
    for (const auto& test : group["tests"]) {
      SCOPED_TRACE(test["tcId"].get<int>());
      ++cases;
      const bool valid = test["result"] == "valid";
      invalid += !valid;
      if (group["ivSize"] != 192) {
        EXPECT_FALSE(valid);
        continue;
      }
      const auto key = unhex_array<32>(test["key"]);
      const auto nonce = unhex_array<24>(test["iv"]);
      const Bytes ad = unhex(test["aad"]), message = unhex(test["msg"]);
      const Bytes sealed = joined(unhex(test["ct"]), unhex(test["tag"]));
      Bytes opened(message.size(), 0xaa);
      EXPECT_EQ(xchacha20_poly1305_open(key, nonce, ad, sealed, opened.data()), valid);
      EXPECT_EQ(opened, valid ? message : Bytes(message.size()));
      if (!valid) continue;
      Bytes again(sealed.size());
      xchacha20_poly1305_seal(key, nonce, ad, message, again.data());
      EXPECT_EQ(again, sealed);
    }
  }
  EXPECT_EQ(cases, 315u);
  EXPECT_EQ(invalid, 69u);
}

TEST(XChaCha20Poly1305, LessThanATagIsRefused) {
  const std::array<uint8_t, 32> key{};
  const std::array<uint8_t, 24> nonce{};
  EXPECT_FALSE(xchacha20_poly1305_open(key, nonce, {}, Bytes(15), nullptr));
}

}  // namespace
}  // namespace smartvpn::crypto
