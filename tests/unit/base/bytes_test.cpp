#include "base/bytes.hpp"

#include <gtest/gtest.h>

#include "base/packet.hpp"
#include "base/secret.hpp"

namespace smartvpn {
namespace {

TEST(ByteReader, FailureSticksAndGivesZeros) {
  const uint8_t data[] = {1, 2, 3};
  ByteReader r(data);
  EXPECT_EQ(r.be16(), 0x0102);
  EXPECT_EQ(r.be32(), 0u);
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.u8(), 0);
}

TEST(Base64, MatchesRfc4648Vectors) {
  const char* vectors[][2] = {{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
                              {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
  for (auto& v : vectors) {
    EXPECT_EQ(to_base64(as_bytes(v[0])), v[1]);
    auto back = from_base64(v[1]);
    ASSERT_TRUE(back);
    EXPECT_EQ(as_text(*back), v[0]);
  }
  for (auto bad : {"Zg=", "Zg", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 8="})
    EXPECT_FALSE(from_base64(bad)) << bad;
}

TEST(Hex, RoundTripsAndRefusesGarbage) {
  const uint8_t data[] = {0x00, 0xff, 0x1a};
  EXPECT_EQ(to_hex(data), "00ff1a");
  EXPECT_EQ(from_hex("00FF1a"), Bytes(data, data + 3));
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
}

TEST(Secret, MoveWipesTheSourceAndTextFormIsStrict) {
  auto key = parse_secret_key("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=");
  ASSERT_TRUE(key);
  SecretKey moved(std::move(*key));
  EXPECT_TRUE(key->is_zero());
  EXPECT_EQ(format_key(moved.view()), "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=");
  EXPECT_FALSE(parse_secret_key("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"));
  EXPECT_FALSE(parse_secret_key(""));
}

TEST(PacketPool, ReusesBlocksAndKeepsHeadAndTailRoom) {
  PacketPool pool;
  const uint8_t* block;
  {
    Packet p = pool.take(1500);
    ASSERT_TRUE(p);
    EXPECT_GE(p.headroom(), size_t{34});
    EXPECT_GE(p.tailroom(), size_t{16});
    block = p.block();
    Packet moved = std::move(p);
    EXPECT_FALSE(p);
    EXPECT_EQ(moved.size(), 1500u);
  }
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  EXPECT_EQ(pool.take(100).block(), block);
  EXPECT_TRUE(pool.take(PacketPool::kLarge));
  EXPECT_FALSE(pool.take(PacketPool::kLarge + 1));
}

TEST(PacketPool, KeepsToItsLimit) {
  PacketPool pool;
  EXPECT_EQ(pool.room(), SIZE_MAX);
  pool.set_limit(200000);
  Packet large = pool.take(60000);
  std::vector<Packet> small;
  while (Packet packet = pool.take(100)) small.push_back(std::move(packet));
  EXPECT_GT(small.size(), 20u);
  EXPECT_LE(pool.bytes_held(), 200000u);
  EXPECT_LT(pool.room(), small[0].capacity());
  // Free blocks of the one size make way for the other.
  small.clear();
  EXPECT_TRUE(pool.take(60000));
  EXPECT_LE(pool.bytes_held(), 200000u);
  EXPECT_GT(pool.bytes_held(), pool.bytes_in_use());
  // A lower limit takes nothing back, and gives nothing out.
  pool.set_limit(1000);
  EXPECT_EQ(pool.bytes_held(), pool.bytes_in_use());
  EXPECT_FALSE(pool.take(100));
  EXPECT_EQ(pool.room(), 0u);
  large = Packet{};
  EXPECT_EQ(pool.bytes_held(), 0u);
}

}  // namespace
}  // namespace smartvpn
