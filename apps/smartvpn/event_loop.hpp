// The command's own loop: signals, the library's events, lines for whoever reads them, and parts such
// as the control socket. The library has its threads; everything here happens on the main one.
#pragma once

#include <poll.h>
#include <smartvpn.h>

#include <chrono>
#include <optional>
#include <span>
#include <vector>

#include "c_api.hpp"
#include "line_output.hpp"

namespace smartvpn::cli {

// Of a subscription, in each lane: what a reader of our output may lag behind.
inline constexpr size_t kEventQueue = 4096;

using LoopTime = std::chrono::steady_clock::time_point;

// What runs while the loop turns. Nothing here may wait.
class LoopHost {
 public:
  virtual ~LoopHost() = default;
  // After the event was printed.
  virtual void on_event(const smartvpn_event*) {}
  // The first SIGINT or SIGTERM: begin to end. The loop returns when the events are closed.
  virtual void begin_stop() = 0;
  // The second one: drop everything.
  virtual void stop_now() = 0;
  // The third: the process ends when this returns. What would outlive it and hurt is undone.
  virtual void abandon() {}
  // SIGHUP.
  virtual void on_hangup() = 0;
};

// Something else that the loop waits for: descriptors, and a moment.
class LoopPart {
 public:
  virtual ~LoopPart() = default;
  // Appends what it waits for in this turn.
  virtual void add_polls(std::vector<pollfd>& polls) = 0;
  // After every wait: what became of them, in the same order and number.
  virtual void on_polls(std::span<const pollfd> polls, LoopTime now) = 0;
  // When it wants to be called even if nothing happens; nothing: never.
  virtual std::optional<LoopTime> deadline() const = 0;
};

class EventLoop {
 public:
  // Blocks the signals in this thread, so they come to the loop alone: to be made before the library
  // starts threads. `json`: events go to standard output as JSON, else to standard error as text.
  explicit EventLoop(bool json);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // The part must outlive run().
  void add(LoopPart& part) { parts_.push_back({&part, 0, 0}); }
  // Until the events are closed and what was printed is written, or the reader leaves it lying.
  void run(smartvpn_events* events, LoopHost& host);
  // A line of our own among the text; nothing where JSON is printed.
  void say(const std::string& line);
  // What went wrong, on standard error as print_failure() would have it, but without waiting for its reader.
  void complain(const Failure& failure);

 private:
  struct PartPolls {
    LoopPart* part;
    size_t first, count;  // in polls_
  };
  void poll_once(int events_fd);
  void add_polls(int events_fd);
  int wait_ms() const;
  bool pending() const noexcept { return output_.pending() || errors_.pending(); }
  void watch_patience(LoopTime now);
  void take_signals(LoopHost& host);
  void take_event(smartvpn_events* events, LoopHost& host);

  const bool json_;
  LineOutput output_;
  LineOutput errors_;  // used where the output is another descriptor
  std::vector<PartPolls> parts_;
  std::vector<pollfd> polls_;
  std::optional<LoopTime> patience_;  // with a reader that takes nothing while we end
  int signals_ = -1;
  int stops_ = 0;
  bool closed_ = false;
  bool events_ready_ = false, signals_ready_ = false;
};

}  // namespace smartvpn::cli
