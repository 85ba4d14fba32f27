#include "acl/range_table.hpp"

#include <gtest/gtest.h>

#include <random>

namespace smartvpn::acl {
namespace {

// The obvious version: look at every range.
template <class Key>
struct Slow {
  std::vector<std::pair<Key, Key>> ranges;
  bool contains(Key key) const {
    for (auto [first, last] : ranges)
      if (first <= key && key <= last) return true;
    return false;
  }
};

template <class Key>
void compare(const std::vector<std::pair<Key, Key>>& ranges, std::mt19937_64& random) {
  RangeTable<Key> table;
  Slow<Key> slow{ranges};
  for (auto [first, last] : ranges) table.add(first, last);
  table.seal();
  std::vector<Key> probes{Key{0}, ~Key{0}};
  for (auto [first, last] : ranges)
    for (Key key : {first, last, Key(first - 1), Key(last + 1), Key(first + (last - first) / 2)}) probes.push_back(key);
  for (int i = 0; i < 100; ++i) {
    Key key = random();
    if constexpr (sizeof(Key) > 8) key = key << 64 | random();
    probes.push_back(key);
  }
  for (Key key : probes) ASSERT_EQ(table.contains(key), slow.contains(key));
}

template <class Key>
void compare_shapes(uint32_t seed) {
  constexpr unsigned kBits = 8 * sizeof(Key);
  std::mt19937_64 random(seed);
  auto any = [&] {
    Key key = random();
    if constexpr (sizeof(Key) > 8) key = key << 64 | random();
    return key;
  };
  for (size_t count : {0, 1, 2, 7, 8, 9, 10, 33, 200, 700})
    for (int shape = 0; shape < 5; ++shape) {
      std::vector<std::pair<Key, Key>> ranges;
      for (size_t i = 0; i < count; ++i) {
        Key first = any(), length = any() >> (kBits - 1 - random() % (kBits - 1));
        if (shape == 1) first = (any() >> (kBits - 12)) + 1000;                       // one crowd
        if (shape == 2) first = Key{1} << (random() % kBits), length = random() % 3;  // crowds within crowds
        if (shape == 3) first = Key(i) * 2, length = 0;                               // as dense as it gets
        if (shape == 4) first = random() % 4 ? ~Key{0} - random() % 5000 : any(), length = random() % 4;
        Key last = first + length < first ? ~Key{0} : first + length;
        ranges.push_back({first, last});
      }
      compare<Key>(ranges, random);
    }
}

TEST(RangeTable, AgreesWithTheSlowVersionOnIpv4Keys) { compare_shapes<uint32_t>(1); }
TEST(RangeTable, AgreesWithTheSlowVersionOnIpv6Keys) { compare_shapes<U128>(2); }

// A key before the crowd of its slot belongs to a range that began in an earlier slot, or to none.
TEST(RangeTable, WideRangeReachesIntoACrowdedSlot) {
  RangeTable<uint32_t> table;
  table.add(0, 0);
  table.add(0x10000000, 0x50000080);
  for (uint32_t i = 0; i < 20; ++i) table.add(0x50000100 + 2 * i, 0x50000100 + 2 * i);
  table.add(0xf0000000, 0xf0000000);
  table.seal();
  for (uint32_t key : {0u, 0x10000000u, 0x50000000u, 0x50000040u, 0x50000080u, 0x50000100u, 0x50000126u, 0xf0000000u})
    EXPECT_TRUE(table.contains(key)) << key;
  for (uint32_t key : {1u, 0x0fffffffu, 0x50000081u, 0x500000ffu, 0x50000101u, 0x50000127u, 0xefffffffu, ~0u})
    EXPECT_FALSE(table.contains(key)) << key;
}

TEST(RangeTable, MergesWhatOverlapsOrTouches) {
  RangeTable<uint32_t> table;
  for (auto [first, last] : {std::pair<uint32_t, uint32_t>{10, 20}, {21, 30}, {5, 12}, {40, 50}, {41, 42}, {52, 60}})
    table.add(first, last);
  table.seal();
  EXPECT_EQ(table.range_count(), 3u);
  EXPECT_TRUE(table.contains(5) && table.contains(30) && table.contains(52));
  EXPECT_FALSE(table.contains(4) || table.contains(31) || table.contains(51) || table.contains(61));
}

TEST(RangeTable, HalfIsCountedOverTheUnion) {
  auto half = [](std::vector<std::pair<uint32_t, uint32_t>> ranges) {
    RangeTable<uint32_t> table;
    for (auto [first, last] : ranges) table.add(first, last);
    table.seal();
    return table.covers_half();
  };
  EXPECT_FALSE(half({}));
  EXPECT_TRUE(half({{0, ~0u}}));
  EXPECT_TRUE(half({{0, 0x7fffffff}}));
  EXPECT_FALSE(half({{0, 0x7ffffffe}}));
  EXPECT_TRUE(half({{0x80000000, ~0u}}));
  EXPECT_TRUE(half({{0, 0x3fffffff}, {0xc0000000, ~0u}}));
  EXPECT_FALSE(half({{0, 0x3fffffff}, {0xc0000001, ~0u}}));
  EXPECT_FALSE(half({{0, 0x5fffffff}, {0, 0x5fffffff}}));
  RangeTable<U128> six;
  six.add(0, (U128{1} << 127) - 2);
  six.seal();
  EXPECT_FALSE(six.covers_half());
  six.add((U128{1} << 127) + 5, (U128{1} << 127) + 5);
  six.seal();
  EXPECT_TRUE(six.covers_half());
}

}  // namespace
}  // namespace smartvpn::acl
