#include "crypto/blake2s.hpp"

#include <gtest/gtest.h>

#include "support/vector_files.hpp"

namespace smartvpn::crypto {
namespace {

using testing::load_vectors;
using testing::unhex;

Bytes digest_of(ByteView key, ByteView message) {
  Bytes out(kBlake2sSize);
  Blake2s(kBlake2sSize, key).update(message).finish(out);
  return out;
}

TEST(Blake2s, GivesAllKnownAnswersPlainAndKeyed) {
  size_t plain = 0, keyed = 0;
  const auto file = load_vectors("blake2s_kat.json");
  for (const auto& v : file["vectors"]) {
    const Bytes key = unhex(v["key"]), in = unhex(v["in"]);
    ++(key.empty() ? plain : keyed);
    ASSERT_EQ(digest_of(key, in), unhex(v["out"])) << v["in"];
  }
  EXPECT_EQ(plain, 256u);
  EXPECT_EQ(keyed, 256u);
}

TEST(Blake2s, PiecesOfAnySizeGiveTheSameDigest) {
  Bytes message(300);
  for (size_t i = 0; i < message.size(); ++i) message[i] = static_cast<uint8_t>(i * 7);
  const Bytes whole = digest_of({}, message);
  for (size_t piece = 1; piece < 130; ++piece) {
    Blake2s hash;
    for (size_t at = 0; at < message.size(); at += piece)
      hash.update(ByteView(message).subspan(at, std::min(piece, message.size() - at)));
    Bytes out(kBlake2sSize);
    hash.finish(out);
    ASSERT_EQ(out, whole) << piece;
  }
  const auto two = blake2s(ByteView(message).first(100), ByteView(message).subspan(100));
  EXPECT_TRUE(std::equal(two.begin(), two.end(), whole.begin()));
}

TEST(Hkdf, AgreesWithWireGuardsTriples) {
  size_t cases = 0;
  const auto file = load_vectors("wireguard_kdf.json");
  for (const auto& v : file["vectors"]) {
    ++cases;
    std::array<uint8_t, 32> t0, t1, t2;
    hkdf3(unhex(v["key"]), unhex(v["input"]), t0, t1, t2);
    EXPECT_EQ(to_hex(t0), v["t0"]);
    EXPECT_EQ(to_hex(t1), v["t1"]);
    EXPECT_EQ(to_hex(t2), v["t2"]);
    std::array<uint8_t, 32> u0, u1;
    hkdf2(unhex(v["key"]), unhex(v["input"]), u0, u1);
    EXPECT_EQ(u0, t0);
    EXPECT_EQ(u1, t1);
  }
  EXPECT_EQ(cases, 3u);
}

TEST(Hmac, LongKeysAreHashedFirstAndPartsAreJoined) {
  const Bytes key(100, 0x5a), message(70, 1);
  std::array<uint8_t, 32> with_long, with_hash, in_parts;
  hmac_blake2s(with_long, key, message);
  hmac_blake2s(with_hash, blake2s(key), message);
  hmac_blake2s(in_parts, key, ByteView(message).first(3), ByteView(message).subspan(3));
  EXPECT_EQ(with_long, with_hash);
  EXPECT_EQ(with_long, in_parts);
}

}  // namespace
}  // namespace smartvpn::crypto
