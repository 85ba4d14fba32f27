#include "tunnel/backoff.hpp"

#include <gtest/gtest.h>

namespace smartvpn::tunnel {
namespace {

TEST(Backoff, DoublesWithinHalfAndAllOfTheDelayUpToItsCap) {
  Backoff backoff(milliseconds(500), seconds(30));
  Duration full = milliseconds(500);
  for (int i = 0; i < 12; ++i) {
    Duration wait = backoff.next(system_rng());
    EXPECT_GE(wait, full / 2);
    EXPECT_LE(wait, full);
    full = std::min<Duration>(full * 2, seconds(30));
  }
}

TEST(Backoff, StartsOverAfterASession) {
  Backoff backoff(milliseconds(100), seconds(30));
  for (int i = 0; i < 5; ++i) backoff.next(system_rng());
  backoff.reset();
  EXPECT_LE(backoff.next(system_rng()), milliseconds(100));
}

TEST(Backoff, DoesNotOverflowAfterManyFailures) {
  Backoff backoff(seconds(3600), seconds(3600));
  for (int i = 0; i < 100; ++i) {
    Duration wait = backoff.next(system_rng());
    EXPECT_GE(wait, seconds(1800));
    EXPECT_LE(wait, seconds(3600));
  }
}

}  // namespace
}  // namespace smartvpn::tunnel
