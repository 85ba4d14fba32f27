// The command's own loop: signals, the library's events, and lines for whoever reads them. The
// library has its threads; everything here happens on the main one.
#pragma once

#include <smartvpn.h>

#include <chrono>

#include "line_output.hpp"

namespace smartvpn::cli {

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
  // SIGHUP.
  virtual void on_hangup() = 0;
};

class EventLoop {
 public:
  // Blocks the signals in this thread, so they come to the loop alone: to be made before the library
  // starts threads. `json`: events go to standard output as JSON, else to standard error as text.
  explicit EventLoop(bool json);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Until the events are closed and what was printed is written, or the reader leaves it lying.
  void run(smartvpn_events* events, LoopHost& host);
  // A line of our own among the text; nothing where JSON is printed.
  void say(const std::string& line);

 private:
  void poll_once(int events_fd);
  void take_signals(LoopHost& host);
  void take_event(smartvpn_events* events, LoopHost& host);

  const bool json_;
  LineOutput output_;
  int signals_ = -1;
  int stops_ = 0;
  bool closed_ = false;
  bool events_ready_ = false, signals_ready_ = false;
};

}  // namespace smartvpn::cli
