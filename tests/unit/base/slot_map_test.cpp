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

}  // namespace
}  // namespace smartvpn
