#include "base/boxed.hpp"

#include <gtest/gtest.h>

#include <string>

namespace smartvpn {
namespace {

TEST(Boxed, IsAnOptionalInTheSizeOfAPointer) {
  static_assert(sizeof(Boxed<std::string>) == sizeof(void*));
  Boxed<std::string> none, text = std::string("one");
  EXPECT_FALSE(none);
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "one");
  EXPECT_EQ(text->size(), 3u);
  text.reset();
  EXPECT_TRUE(none == text);
  EXPECT_EQ(text.emplace(), "");
  EXPECT_FALSE(none == text);
}

TEST(Boxed, CopiesTheValueAndMovesTheBox) {
  Boxed<std::string> first = std::string("one"), second = first;
  EXPECT_TRUE(first == second);
  *second = "two";
  EXPECT_EQ(*first, "one");
  const std::string* const box = &*second;
  Boxed<std::string> third = std::move(second);
  EXPECT_EQ(&*third, box);
  const Boxed<std::string>& same = third;
  third = same;
  EXPECT_EQ(*third, "two");
  third = Boxed<std::string>();
  EXPECT_FALSE(third);
  third = std::nullopt;
  EXPECT_FALSE(third.has_value());
}

}  // namespace
}  // namespace smartvpn
