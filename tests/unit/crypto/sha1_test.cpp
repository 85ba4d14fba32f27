#include "crypto/sha1.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "crypto/lib_context.hpp"

namespace smartvpn::crypto {
namespace {

TEST(Sha1, GivesTheAnswersOfTheStandards) {
  EXPECT_EQ(to_hex(sha1({})), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(to_hex(sha1(as_bytes("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(to_hex(sha1(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  // RFC 6455, section 1.3.
  EXPECT_EQ(to_base64(sha1(as_bytes("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(Sha1, AgreesWithOpenSslAroundEveryBlockBorder) {
  Bytes message;
  for (int size = 0; size < 200; ++size) {
    uint8_t expected[20];
    size_t length = 0;
    ASSERT_EQ(EVP_Q_digest(private_lib_context(), "SHA1", nullptr, message.data(), message.size(), expected, &length),
              1);
    ASSERT_EQ(to_hex(sha1(message)), to_hex({expected, length})) << size;
    message.push_back(static_cast<uint8_t>(size * 31));
  }
}

}  // namespace
}  // namespace smartvpn::crypto
