#include "crypto/x25519.hpp"

#include <gtest/gtest.h>

#include "support/scripted_rng.hpp"
#include "support/vector_files.hpp"

namespace smartvpn::crypto {
namespace {

using testing::load_vectors;
using testing::unhex_array;
using testing::unhex_secret;

TEST(X25519, AgreesWithWycheproofAndRefusesEveryZeroResult) {
  size_t cases = 0, zero = 0;
  const auto file = load_vectors("wycheproof_x25519.json");
  for (const auto& group : file["testGroups"]) {
    for (const auto& test : group["tests"]) {
      SCOPED_TRACE(test["tcId"].get<int>());
      ++cases;
      const auto expected = unhex_array<32>(test["shared"]);
      std::array<uint8_t, 32> shared;
      shared.fill(0xaa);
      const bool ok = x25519(shared, unhex_secret(test["private"]), unhex_array<32>(test["public"]));
      EXPECT_EQ(shared, expected);
      EXPECT_EQ(ok, expected != (std::array<uint8_t, 32>{}));
      zero += !ok;
    }
  }
  EXPECT_EQ(cases, 518u);
  EXPECT_EQ(zero, 31u);
}

// RFC 7748, section 6.1.
TEST(X25519, DerivesThePublicKeyOfTheRfc) {
  const auto bob = unhex_secret("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  EXPECT_EQ(to_hex(public_key_of(bob)), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
}

// The table of the Edwards curve and the ladder from the base point u = 9 are two ways to one key.
TEST(X25519, PublicKeysAreWhatTheLadderGives) {
  const PublicKey base{9};
  auto check = [&](const SecretKey& secret) {
    PublicKey ladder{};
    ASSERT_TRUE(x25519(ladder, secret, base));
    EXPECT_EQ(to_hex(public_key_of(secret)), to_hex(ladder));
  };
  testing::ScriptedRng rng({}, 25519);
  for (int i = 0; i < 2000; ++i) {
    SecretKey secret;
    rng.fill(secret.span());
    check(secret);
  }
  // Nothing but what clamping sets, nothing but what it leaves, and each bit alone.
  for (uint8_t fill : {0x00, 0xff, 0x55, 0xaa}) {
    SecretKey secret;
    std::fill(secret.span().begin(), secret.span().end(), fill);
    check(secret);
  }
  for (size_t bit = 0; bit < 256; ++bit) {
    SecretKey secret;
    secret.span()[bit / 8] = static_cast<uint8_t>(1 << bit % 8);
    check(secret);
  }
}

TEST(X25519, GeneratedKeysAreClampedAndAgree) {
  testing::ScriptedRng rng(Bytes(32, 0xff));
  KeyPair a = generate_key_pair(rng), b = generate_key_pair(rng);
  EXPECT_EQ(a.secret.view()[0], 0xf8);
  EXPECT_EQ(a.secret.view()[31], 0x7f);
  EXPECT_EQ(a.pub, public_key_of(a.secret));
  SecretKey ab, ba;
  ASSERT_TRUE(x25519(ab.span(), a.secret, b.pub));
  ASSERT_TRUE(x25519(ba.span(), b.secret, a.pub));
  EXPECT_TRUE(ab == ba);
}

TEST(X25519, PointsOfSmallOrderAreNotUsableKeys) {
  testing::ScriptedRng rng;
  EXPECT_TRUE(is_usable_public_key(generate_key_pair(rng).pub));
  EXPECT_FALSE(is_usable_public_key(PublicKey{}));
  PublicKey one{1};
  EXPECT_FALSE(is_usable_public_key(one));
}

}  // namespace
}  // namespace smartvpn::crypto
