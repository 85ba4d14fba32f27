// A limit of bytes a second with room for a burst. A packet passes while the bucket holds anything at
// all, and may take it below empty: what is large passes whole, and the debt is waited off, so that the
// rate is kept exactly over time. Pure; integer arithmetic on nanoseconds.
#pragma once

#include <cstdint>

#include "base/clock.hpp"

namespace smartvpn::acl {

class TokenBucket {
 public:
  static constexpr uint64_t kMinBurst = 64 * 1024;

  TokenBucket() = default;  // no limit

  // `bytes_per_second` 0: no limit. `burst` 0: a quarter of a second's worth, at least 64 KiB; less than
  // 5 ms' worth counts as that much, because nobody looks more often. A new limit starts with a full
  // bucket; a changed one keeps what was left, as far as it fits, and forgives what was owed.
  void set(uint64_t bytes_per_second, uint64_t burst, Time now) noexcept;

  bool limited() const noexcept { return rate_ != 0; }
  uint64_t bytes_per_second() const noexcept { return rate_; }
  bool open(Time now) const noexcept { return rate_ == 0 || full_at_ - now < capacity_; }
  // A packet passed. Called when open() said so, or for one that is let through whatever it says.
  void spend(uint64_t bytes, Time now) noexcept;
  // When to look again: it is open by then, with about a millisecond's worth in it. The past if it is.
  Time opens_at() const noexcept;

 private:
  Duration time_for(uint64_t bytes) noexcept;

  uint64_t rate_ = 0, burst_ = 0;
  uint64_t remainder_ = 0;  // of the division by the rate, so that small packets lose nothing
  Duration capacity_{};     // in which an empty bucket fills
  Time full_at_{};          // when it is full again if nothing passes; in the past: it is full
};

}  // namespace smartvpn::acl
