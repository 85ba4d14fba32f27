#include "config/authorize_answer.hpp"

#include <gtest/gtest.h>

namespace smartvpn::config {
namespace {

std::string verdict(const std::string& json) {
  auto answer = parse_authorize_answer(json);
  return answer ? "OK" : answer.error().path + " " + status_name(static_cast<int32_t>(answer.error().status));
}

TEST(AuthorizeAnswer, ReadsAllowsWithTheirLimits) {
  auto plain = parse_authorize_answer(R"({"allow": true})");
  ASSERT_TRUE(plain);
  EXPECT_TRUE(plain->allow);
  EXPECT_EQ(plain->valid_ms, 0u);
  EXPECT_EQ(plain->session_seconds, 0u);
  EXPECT_FALSE(plain->rate_limit);
  auto limited = parse_authorize_answer(R"({"allow": true, "valid_ms": 86400000, "session_seconds": 31536000,
      "rate_limit": {"from_client_bytes_per_second": 1, "to_client_burst_bytes": 4}})");
  ASSERT_TRUE(limited);
  EXPECT_EQ(limited->valid_ms, 86400000u);
  EXPECT_EQ(limited->session_seconds, 31536000u);
  EXPECT_EQ(limited->rate_limit, (RateLimitConfig{1, 0, 0, 4}));
}

TEST(AuthorizeAnswer, ReadsDeniesWithTheirDetail) {
  auto denied = parse_authorize_answer(R"({"allow": false, "detail": "not on a Sunday"})");
  ASSERT_TRUE(denied);
  EXPECT_FALSE(denied->allow);
  EXPECT_EQ(denied->detail, "not on a Sunday");
}

TEST(AuthorizeAnswer, RefusesEverythingElseWithThePath) {
  EXPECT_EQ(verdict("{}"), "/allow INVALID");
  EXPECT_EQ(verdict("true"), " INVALID");
  EXPECT_EQ(verdict("{"), " INVALID");
  EXPECT_EQ(verdict(R"({"allow": 1})"), "/allow INVALID");
  EXPECT_EQ(verdict(R"({"allow": "true"})"), "/allow INVALID");
  EXPECT_EQ(verdict(R"({"allow": true, "valid_ms": 86400001})"), "/valid_ms INVALID");
  EXPECT_EQ(verdict(R"({"allow": true, "valid_ms": -1})"), "/valid_ms INVALID");
  EXPECT_EQ(verdict(R"({"allow": true, "session_seconds": 0})"), "/session_seconds INVALID");
  EXPECT_EQ(verdict(R"({"allow": true, "session_seconds": 31536001})"), "/session_seconds INVALID");
  EXPECT_EQ(verdict(R"({"allow": true, "rate_limit": {"bytes": 1}})"), "/rate_limit/bytes INVALID");
  EXPECT_EQ(verdict(R"({"allow": true, "valid": 1})"), "/valid INVALID");
  EXPECT_EQ(verdict(R"({"allow": true, "detail": ""})"), "/detail INVALID");
  EXPECT_EQ(verdict(R"({"allow": false, "valid_ms": 5})"), "/valid_ms INVALID");
  EXPECT_EQ(verdict(R"({"allow": false, "session_seconds": 5})"), "/session_seconds INVALID");
  EXPECT_EQ(verdict(R"({"allow": false, "rate_limit": {}})"), "/rate_limit INVALID");
  EXPECT_EQ(verdict(R"({"allow": false, "detail": ")" + std::string(257, 'x') + "\"}"), "/detail INVALID");
}

TEST(AuthorizeAnswer, AMisspeltKeyNamesTheNearest) {
  auto answer = parse_authorize_answer(R"({"allow": true, "session_second": 5})");
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().text.find("session_seconds"), std::string::npos);
}

}  // namespace
}  // namespace smartvpn::config
