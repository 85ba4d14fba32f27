// The inside of a Loop, for this room's files only: the one place that names libuv types.
#pragma once

#include <uv.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <new>

#include "base/bounded_queue.hpp"
#include "net/fd.hpp"
#include "net/loop.hpp"
#include "net/poll_set.hpp"
#include "net/timer.hpp"

namespace smartvpn::net {

// The TurnEnds requested so far, in order of request.
class TurnList {
 public:
  void push(TurnEnd& item) noexcept;
  static void unlink(TurnList& list, TurnEnd& item) noexcept;
  bool empty() const noexcept { return first_ == nullptr; }
  // Runs the items that are in the list now; what they request stays for the next round.
  template <class Run>
  void run_round(Run&& run);

 private:
  TurnEnd* first_ = nullptr;
  TurnEnd** last_ = &first_;
};

class Loop::Impl {
 public:
  explicit Impl(size_t post_capacity) : commands(post_capacity) {}
  ~Impl();
  int open() noexcept;           // 0 or an errno
  int open_for_many() noexcept;  // after it
  void turn() noexcept;

  template <class Fn>
  void contain(Fn&& fn) noexcept {
    try {
      fn();
    } catch (const std::exception& e) {
      told(e.what());
    } catch (...) {
      told("unknown exception");
    }
  }
  void told(const char* what) noexcept;

  Time now() noexcept {
    if (stale) {
      time = monotonic_now();
      stale = false;
    }
    return time;
  }
  void put_timer(Timer& timer, Time at) noexcept;
  void take_timer(Timer& timer) noexcept { timers.take(timer); }
  void end_turn() noexcept;

  uv_loop_t uv{};
  TurnList turn_ends;
  TimerHeap timers;
  DescriptorRegister descriptors;
  PollSet polls;  // open in a loop for many
  BoundedQueue<std::function<void()>> commands;
  std::function<void()> turn_hook;
  std::function<void(const char*)> exception_hook;
  uint64_t exceptions = 0;
  Duration strangers_took{};     // of this turn
  size_t strangers_put_off = 0;  // in this turn
  std::atomic<bool> stopped{false};
  std::array<uint8_t, Loop::kReadBuffer> read_buffer;
  std::array<uint8_t, Loop::kScratchBuffer> scratch_buffer;

 private:
  // What libuv watches, in `polls`.
  struct Libuv final : PollSet::Item {
    void on_ready(uint32_t) noexcept override { ready = true; }
    bool ready = false;
  };
  void run_commands() noexcept;
  void fire_timers() noexcept;
  void arm(Time at) noexcept;

  friend class Loop;
  uv_async_t async_{};
  uv_prepare_t prepare_{};
  uv_check_t check_{};
  uv_poll_t timer_poll_{};
  Libuv libuv_;
  Fd timer_fd_;
  Time armed_ = kNever;  // when the kernel timer fires; earlier than the first timer is harmless
  Time time{};
  bool stale = true;
  bool opened_ = false;
  bool firing_ = false;
};

}  // namespace smartvpn::net
