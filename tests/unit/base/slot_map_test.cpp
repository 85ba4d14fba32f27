#include "base/slot_map.hpp"

#include <gtest/gtest.h>

namespace smartvpn {
namespace {

TEST(SlotMap, StaleIdFindsNothingAfterTheSlotIsReused) {
  SlotMap<int> map;
  auto first = map.insert(std::make_unique<int>(1));
  ASSERT_TRUE(map.remove(first));
  auto second = map.insert(std::make_unique<int>(2));
  EXPECT_NE(first, second);
  EXPECT_EQ(map.find(first), nullptr);
  ASSERT_NE(map.find(second), nullptr);
  EXPECT_EQ(*map.find(second), 2);
}

TEST(SlotMap, NextIdIsTheIdOfTheNextInsert) {
  SlotMap<int> map;
  for (int i = 0; i < 3; ++i) {
    auto expected = map.next_id();
    EXPECT_EQ(map.insert(std::make_unique<int>(i)), expected);
    if (i == 1) {
      map.remove(expected);
      expected = map.next_id();
      EXPECT_EQ(map.insert(std::make_unique<int>(9)), expected);
    }
  }
}

TEST(SlotMap, IdsAreNeverZeroAndStayBelowTwoToThe53) {
  SlotMap<int> map;
  for (int i = 0; i < 1000; ++i) {
    auto id = map.insert(std::make_unique<int>(i));
    EXPECT_NE(id, 0u);
    EXPECT_LT(id, uint64_t{1} << 53);
    if (i % 2) map.remove(id);
  }
}

TEST(SlotMap, IdsOfDifferentlySeededMapsAreDifferent) {
  SlotMap<int> one(7), other(8);
  const auto id = one.insert(std::make_unique<int>(1));
  other.insert(std::make_unique<int>(2));
  EXPECT_EQ(other.find(id), nullptr);
  EXPECT_TRUE(one.find(id));
  for (uint32_t seed : {0u, (1u << 28) - 2, (1u << 28) - 1, UINT32_MAX}) {
    SlotMap<int> map(seed);
    const auto expected = map.next_id();
    EXPECT_EQ(map.insert(std::make_unique<int>(3)), expected);
    EXPECT_LT(expected, uint64_t{1} << 53);
    EXPECT_NE(expected, 0u);
    EXPECT_TRUE(map.find(expected));
  }
}

}  // namespace
}  // namespace smartvpn
