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

  // Once a second, with the counter's present value. One that has shrunk was begun anew, and so is the window: there is
  // no growth to tell until the next sample.
  void sample(Time now, uint64_t total) noexcept {
    if (count_ > 0 && total < samples_[newest_].total) count_ = 0;
    newest_ = (newest_ + 1) % samples_.size();
    samples_[newest_] = {now, total};
    if (count_ < samples_.size()) ++count_;
  }

  // Growth a second over the last `window` seconds (1..kLongest), or for as long as there are samples. Where the loop
  // was late, over the time from the first sample that is old enough.
  double per_second(unsigned window) const noexcept {
    if (count_ < 2) return 0;
    const Sample& last = samples_[newest_];
    const Duration enough = seconds(window) - milliseconds(500);
    size_t back = 0;
    while (back + 1 < count_ && last.at - before(back).at < enough) ++back;
    const Sample& first = before(back);
    const double elapsed = std::chrono::duration<double>(last.at - first.at).count();
    return elapsed > 0 ? static_cast<double>(last.total - first.total) / elapsed : 0;
  }

 private:
  struct Sample {
    Time at{};
    uint64_t total = 0;
  };
  const Sample& before(size_t back) const noexcept {
    return samples_[(newest_ + samples_.size() - back) % samples_.size()];
  }
  std::array<Sample, kLongest + 1> samples_{};
  size_t newest_ = 0, count_ = 0;
};

}  // namespace smartvpn::relay
