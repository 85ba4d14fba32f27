#include "config/rfc3339.hpp"

#include <gtest/gtest.h>

namespace smartvpn::config {
namespace {

TEST(Rfc3339, ReadsDates) {
  EXPECT_EQ(parse_rfc3339_ms("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parse_rfc3339_ms("2026-12-31T23:59:59Z"), 1798761599000);
  EXPECT_EQ(parse_rfc3339_ms("2024-02-29t12:00:00.5z"), 1709208000500);
  // RFC 3339 section 5.8
  EXPECT_EQ(parse_rfc3339_ms("1985-04-12T23:20:50.52Z"), 482196050520);
  EXPECT_EQ(parse_rfc3339_ms("1996-12-19T16:39:57-08:00"), parse_rfc3339_ms("1996-12-20T00:39:57Z"));
  EXPECT_EQ(parse_rfc3339_ms("1990-12-31T23:59:60Z"), parse_rfc3339_ms("1991-01-01T00:00:00Z"));
  EXPECT_EQ(parse_rfc3339_ms("2000-01-01T00:00:00.123456789+00:30"), 946683000123);
}

TEST(Rfc3339, RefusesEverythingElse) {
  for (auto text : {"", "2026-12-31", "2026-12-31T23:59:59", "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z",
                    "2026-12-31T24:00:00Z", "2026-12-31T23:60:00Z", "2026-12-31T23:59:61Z", "2026-12-31T23:59:59.Z",
                    "2026-12-31T23:59:59Zx", "2026-12-31T23:59:59+24:00", "2026-12-31T23:59:59+1:00",
                    "26-12-31T23:59:59Z", "2026/12/31T23:59:59Z", "1969-12-31T23:59:59Z", "2026-12-3aT23:59:59Z"})
    EXPECT_FALSE(parse_rfc3339_ms(text)) << text;
}

}  // namespace
}  // namespace smartvpn::config
