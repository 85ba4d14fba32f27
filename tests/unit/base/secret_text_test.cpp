// Texts with keys in them leave nothing behind: looked at where they are short enough to sit in the object itself.
#include "base/secret_text.hpp"

#include <gtest/gtest.h>

#include <new>

namespace smartvpn {
namespace {

constexpr std::string_view kKey = "k3y-k3y-k3y";

class SecretTextTest : public ::testing::Test {
 protected:
  SecretText* make() { return new (place_) SecretText(std::string(kKey)); }
  bool holds_the_key() const {
    return std::string_view(reinterpret_cast<const char*>(place_), sizeof place_).find(kKey) != std::string_view::npos;
  }
  alignas(SecretText) unsigned char place_[sizeof(SecretText)] = {};
};

TEST_F(SecretTextTest, IsWipedAtItsEnd) {
  SecretText* text = make();
  ASSERT_TRUE(holds_the_key());
  text->~SecretText();
  EXPECT_FALSE(holds_the_key());
}

TEST_F(SecretTextTest, IsWipedWhereItWasMovedFromAndOverwritten) {
  SecretText* text = make();
  SecretText other(std::move(*text));
  EXPECT_EQ(other.text(), kKey);
  EXPECT_FALSE(holds_the_key());
  *text = other;
  ASSERT_TRUE(holds_the_key());
  *text = SecretText();
  EXPECT_FALSE(holds_the_key());
  EXPECT_EQ(other.text(), kKey);
  text->~SecretText();
}

TEST_F(SecretTextTest, IsWipedInTheTextItWasMadeOf) {
  std::string plain(kKey);
  const char* bytes = plain.data();
  SecretText text(std::move(plain));
  EXPECT_EQ(std::string_view(bytes, kKey.size()).find(kKey), std::string_view::npos);
  EXPECT_EQ(text.text(), kKey);
}

}  // namespace
}  // namespace smartvpn
