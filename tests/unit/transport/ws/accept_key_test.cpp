#include "transport/ws/accept_key.hpp"

#include <gtest/gtest.h>

#include "support/ws_recorder.hpp"

namespace smartvpn::ws {
namespace {

TEST(AcceptKey, GivesTheExampleOfRfc6455Section13) {
  EXPECT_EQ(accept_for_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(AcceptKey, AKeyIsBase64OfSixteenBytes) {
  EXPECT_TRUE(is_valid_key("dGhlIHNhbXBsZSBub25jZQ=="));
  for (const char* bad : {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZXM=",
                          "dGhlIHNhbXBsZSBub25jZQ=!", "dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25jZXNzZXNzZXM="})
    EXPECT_FALSE(is_valid_key(bad)) << bad;
}

TEST(AcceptKey, AMadeKeyIsValidAndFresh) {
  test::CountingRng rng;
  const std::string first = make_key(rng), second = make_key(rng);
  EXPECT_TRUE(is_valid_key(first));
  EXPECT_TRUE(is_valid_key(second));
  EXPECT_NE(first, second);
}

}  // namespace
}  // namespace smartvpn::ws
