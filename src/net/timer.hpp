// Timers on a loop. All timers of a loop share one kernel timer on CLOCK_BOOTTIME, which also counts time
// asleep; an idle session's timer costs its own bytes and nothing else.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "base/clock.hpp"

namespace smartvpn::net {

class Loop;

// One-shot. The callback may start it again or destroy it. Starting and stopping cost O(log timers), and
// starting needs no memory: a timer's place is taken when it is made, so that what ends a connection for
// want of memory can still set its last deadline.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> callback);
  ~Timer();  // stops
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Fires once at `at` or up to a millisecond later; moves the timer when it was running. A time that
  // has passed fires in the next turn; kNever stops it.
  void start_at(Time at) noexcept;
  void start_in(Duration delay) noexcept;
  void stop() noexcept;
  bool running() const noexcept { return index_ != kNone; }
  Time deadline() const noexcept { return running() ? at_ : kNever; }

 private:
  friend class TimerHeap;
  static constexpr size_t kNone = static_cast<size_t>(-1);
  Loop& loop_;
  std::function<void()> callback_;
  Time at_ = kNever;
  size_t index_ = kNone;  // place in the heap
};

// The order in which a loop's timers fire: a binary heap whose members know their place. Pure.
class TimerHeap {
 public:
  // Each timer that may ever be put is announced first.
  void announce();
  void renounce() noexcept { --announced_; }
  void put(Timer& timer, Time at);
  void take(Timer& timer) noexcept;
  // Takes out and returns the first timer due at `now`; null when there is none.
  Timer* pop_due(Time now) noexcept;
  Time next() const noexcept { return heap_.empty() ? kNever : heap_.front()->at_; }
  size_t size() const noexcept { return heap_.size(); }
  static void fire(Timer& timer) { timer.callback_(); }

 private:
  void place(size_t index, Timer* timer) noexcept;
  void sift_up(size_t index) noexcept;
  void sift_down(size_t index) noexcept;
  std::vector<Timer*> heap_;
  size_t announced_ = 0;
};

}  // namespace smartvpn::net
