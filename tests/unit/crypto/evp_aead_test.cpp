// OpenSSL's ChaCha20 and Poly1305, put together: held against libsodium at every length, on both sides of the longest
// packet that goes in one piece.
#include "crypto/evp_aead.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "crypto/aead_oneshot.hpp"

namespace smartvpn::crypto {
namespace {

struct Case {
  SecretKey key;
  std::array<uint8_t, 12> nonce{};
  Bytes ad, plain, sealed;  // sealed by libsodium
};

Case make_case(size_t size, size_t ad_size) {
  Case out;
  system_rng().fill(out.key.span());
  system_rng().fill(out.nonce);
  out.ad.resize(ad_size);
  out.plain.resize(size);
  system_rng().fill(out.ad);
  system_rng().fill(out.plain);
  out.sealed.resize(size + 16);
  chacha20_poly1305_seal(out.key.view(), out.nonce, out.ad, out.plain, out.sealed.data());
  return out;
}

void expect_same(EvpAead& evp, const Case& it) {
  ASSERT_TRUE(evp.set_key(it.key.view()));
  Bytes bytes = it.plain;
  bytes.resize(it.plain.size() + 16);
  ASSERT_TRUE(evp.seal(it.nonce, it.ad, bytes.data(), it.plain.size()));
  ASSERT_EQ(bytes, it.sealed) << it.plain.size();
  ASSERT_TRUE(evp.open(it.nonce, it.ad, bytes.data(), it.plain.size()));
  bytes.resize(it.plain.size());
  ASSERT_EQ(bytes, it.plain);
}

TEST(EvpAead, AgreesWithLibsodiumAtEveryLength) {
  auto evp = EvpAead::create();
  ASSERT_TRUE(evp);
  for (size_t size = 0; size <= 2200; ++size) expect_same(*evp, make_case(size, 0));
  for (size_t size : {4096, 16384, 65535}) expect_same(*evp, make_case(size, 0));
}

TEST(EvpAead, AgreesWithLibsodiumWithAdditionalData) {
  auto evp = EvpAead::create();
  ASSERT_TRUE(evp);
  for (size_t ad : {1, 13, 16, 17, 200})
    for (size_t size : {0, 1, 15, 16, 63, 64, 1420, 2048, 2049, 5000}) expect_same(*evp, make_case(size, ad));
}

TEST(EvpAead, ChangesNothingWhereTheTagIsWrong) {
  auto evp = EvpAead::create();
  ASSERT_TRUE(evp);
  for (size_t size : {0, 1, 64, 1420, 2048, 2049, 5000}) {
    const Case it = make_case(size, 0);
    ASSERT_TRUE(evp->set_key(it.key.view()));
    for (size_t at : {size_t{0}, size / 2, size, size + 15}) {
      Bytes damaged = it.sealed;
      damaged[at] ^= 0x40;
      const Bytes before = damaged;
      EXPECT_FALSE(evp->open(it.nonce, {}, damaged.data(), size));
      EXPECT_EQ(damaged, before);
    }
    Bytes whole = it.sealed;
    EXPECT_TRUE(evp->open(it.nonce, {}, whole.data(), size)) << "and what comes next is opened";
  }
}

TEST(EvpAead, TouchesNothingBehindTheTag) {
  auto evp = EvpAead::create();
  ASSERT_TRUE(evp);
  for (size_t size : {0, 5, 1420, 2048, 2049}) {
    const Case it = make_case(size, 0);
    ASSERT_TRUE(evp->set_key(it.key.view()));
    Bytes bytes = it.plain;
    bytes.resize(size + 16);
    bytes.resize(size + 16 + 64, 0xEE);
    ASSERT_TRUE(evp->seal(it.nonce, {}, bytes.data(), size));
    EXPECT_TRUE(std::equal(it.sealed.begin(), it.sealed.end(), bytes.begin()));
    EXPECT_EQ(Bytes(bytes.end() - 64, bytes.end()), Bytes(64, 0xEE));
  }
}

}  // namespace
}  // namespace smartvpn::crypto
