#include "base/clock.hpp"

#include <ctime>

namespace smartvpn {

Time monotonic_now() noexcept {
  timespec ts{};
  clock_gettime(CLOCK_BOOTTIME, &ts);
  return Time(std::chrono::duration_cast<Time::duration>(seconds(ts.tv_sec) + Duration(ts.tv_nsec)));
}

int64_t wall_clock_ms() noexcept {
  timespec ts{};
  clock_gettime(CLOCK_REALTIME, &ts);
  return int64_t{ts.tv_sec} * 1000 + ts.tv_nsec / 1000000;
}

}  // namespace smartvpn
