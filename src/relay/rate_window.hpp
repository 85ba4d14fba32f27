// How fast a counter grows, over the last seconds: the difference between what it is and what it was, so that what has
// been open for long does not make the rate climb. Pure.
#pragma once

#include <array>
#include <cstdint>

#include "base/clock.hpp"

namespace smartvpn::relay {

class RateWindow {
 public:
  static constexpr unsigned kLongest = 60;  // seconds

  // Once a second, with the counter's present value.
  void sample(Time now, uint64_t total) noexcept {
    newest_ = (newest_ + 1) % samples_.size();
    samples_[newest_] = {now, total};
    if (count_ < samples_.size()) ++count_;
  }

  // Growth a second over the last `window` samples (1..kLongest), or as many as there are.
  double per_second(unsigned window) const noexcept {
    if (count_ < 2) return 0;
    const size_t back = window < count_ ? window : count_ - 1;
    const Sample &last = samples_[newest_], &first = samples_[(newest_ + samples_.size() - back) % samples_.size()];
    const double elapsed = std::chrono::duration<double>(last.at - first.at).count();
    return elapsed > 0 ? static_cast<double>(last.total - first.total) / elapsed : 0;
  }

 private:
  struct Sample {
    Time at{};
    uint64_t total = 0;
  };
  std::array<Sample, kLongest + 1> samples_{};
  size_t newest_ = 0, count_ = 0;
};

}  // namespace smartvpn::relay
