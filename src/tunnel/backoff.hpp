// When to dial again: exponential backoff with jitter. Pure.
#pragma once

#include <algorithm>

#include "base/clock.hpp"
#include "base/rng.hpp"

namespace smartvpn::tunnel {

class Backoff {
 public:
  Backoff(Duration initial, Duration max) : initial_(initial), max_(max) {}

  // The wait before the next attempt: between half and all of a delay that doubles with each attempt,
  // so that a thousand clients of a restarted server do not come back as one.
  Duration next(Rng& rng) noexcept {
    Duration full = std::min(max_, initial_ * (int64_t{1} << std::min(failures_, 20u)));
    ++failures_;
    auto half = full.count() / 2;
    return Duration(half + static_cast<int64_t>(rng.u64() % static_cast<uint64_t>(half + 1)));
  }
  // A session stood: the next failure is a first one.
  void reset() noexcept { failures_ = 0; }
  uint32_t failures() const noexcept { return failures_; }

 private:
  const Duration initial_, max_;
  uint32_t failures_ = 0;
};

}  // namespace smartvpn::tunnel
