#include "proxyproto/crc32c.hpp"

#include <gtest/gtest.h>

#include <random>

#include "support/proxy_headers.hpp"

namespace smartvpn::proxyproto {
namespace {

TEST(Crc32c, GivesThePublishedAnswers) {
  // RFC 3720 appendix B.4 and the usual check value.
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c(Bytes(32, 0x00)), 0x8a9136aau);
  EXPECT_EQ(crc32c(Bytes(32, 0xff)), 0x62a8ab43u);
  EXPECT_EQ(crc32c({}), 0u);
}

TEST(Crc32c, GoesOnWhereItStopped) {
  std::mt19937 random(3);
  for (int i = 0; i < 200; ++i) {
    Bytes bytes(random() % 300);
    for (auto& b : bytes) b = static_cast<uint8_t>(random());
    size_t cut = bytes.empty() ? 0 : random() % bytes.size();
    ByteView all(bytes);
    EXPECT_EQ(crc32c(all), testing::slow_crc32c(all));
    EXPECT_EQ(crc32c(all.subspan(cut), crc32c(all.first(cut))), crc32c(all));
  }
}

}  // namespace
}  // namespace smartvpn::proxyproto
