// The bucket's level is kept as the time at which it will be full, which needs no refilling.
#include "acl/token_bucket.hpp"

#include <algorithm>

#include "base/uint128.hpp"

namespace smartvpn::acl {
namespace {

using Wide = Uint128;

constexpr uint64_t kNanoseconds = 1000000000;
constexpr uint64_t kLongest = 24 * 3600 * kNanoseconds;  // of one packet's time, and of a whole burst's
constexpr uint64_t kLookPerSecond = 200;                 // 1 / 5 ms
constexpr Duration kBatch = milliseconds(1);

uint64_t nanoseconds(uint64_t bytes, uint64_t rate) noexcept {
  return static_cast<uint64_t>(std::min<Wide>(Wide{bytes} * kNanoseconds / rate, kLongest));
}

}  // namespace

void TokenBucket::set(uint64_t bytes_per_second, uint64_t burst, Time now) noexcept {
  if (burst == 0) burst = std::max(kMinBurst, bytes_per_second / 4);
  burst = std::max({burst, bytes_per_second / kLookPerSecond, uint64_t{1}});
  if (bytes_per_second == rate_ && burst == burst_) return;
  uint64_t level = burst;
  if (rate_ != 0) {
    const int64_t left = (capacity_ - std::max(full_at_ - now, Duration{})).count();
    const Wide bytes = Wide{static_cast<uint64_t>(std::max<int64_t>(left, 0))} * rate_ / kNanoseconds;
    level = static_cast<uint64_t>(std::min<Wide>(bytes, burst));
  }
  rate_ = bytes_per_second;
  burst_ = burst;
  remainder_ = 0;
  if (rate_ == 0) return;
  capacity_ = Duration(std::max<uint64_t>(nanoseconds(burst, rate_), 1));
  full_at_ = now + capacity_ - std::min(capacity_, Duration(nanoseconds(level, rate_)));
}

Duration TokenBucket::time_for(uint64_t bytes) noexcept {
  const Wide work = Wide{bytes} * kNanoseconds + remainder_;
  remainder_ = static_cast<uint64_t>(work % rate_);
  return Duration(static_cast<uint64_t>(std::min<Wide>(work / rate_, kLongest)));
}

void TokenBucket::spend(uint64_t bytes, Time now) noexcept {
  if (rate_ == 0) return;
  full_at_ = std::max(full_at_, now) + time_for(bytes);
}

Time TokenBucket::opens_at() const noexcept {
  if (rate_ == 0) return Time{};
  return full_at_ - capacity_ + std::min(kBatch, capacity_);
}

}  // namespace smartvpn::acl
