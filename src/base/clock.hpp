// Time as the core knows it. Machines take a `Time` argument and never ask; only this file's
// functions read a clock, and only `net/` and `server/` call them. Tests pass times of their own.
#pragma once

#include <chrono>
#include <cstdint>

namespace smartvpn {

using Duration = std::chrono::nanoseconds;
using Time = std::chrono::steady_clock::time_point;  // monotonic
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Time kNever = Time::max();

// Monotonic time, including time asleep (CLOCK_BOOTTIME), so that a suspended laptop's timers fire
// when it wakes.
Time monotonic_now() noexcept;

// Milliseconds since 1970-01-01 UTC, for events and expiry dates only.
int64_t wall_clock_ms() noexcept;

}  // namespace smartvpn
