// Runs the host's event callback on a thread of its own, with no lock held. Exists only while a
// callback is set.
#pragma once

#include <functional>
#include <memory>

#include "net/thread.hpp"
#include "telemetry/event_queue.hpp"

namespace smartvpn::server {

class Dispatcher {
 public:
  using Callback = std::function<void(const telemetry::Event&)>;

  // Calls `callback` for each event of the queue until that is closed and empty. An exception that
  // leaves it is contained and reported to `on_exception`.
  static Result<std::unique_ptr<Dispatcher>> start(std::shared_ptr<telemetry::EventQueue> queue, Callback callback,
                                                   std::function<void()> on_exception);
  // Waits for the callback that runs, unless called from it.
  ~Dispatcher();
  bool is_current() const { return thread_ && thread_->is_current(); }
  void abandon_after_fork() noexcept { thread_->abandon_after_fork(); }

 private:
  explicit Dispatcher(std::shared_ptr<telemetry::EventQueue> queue) : queue_(std::move(queue)) {}
  std::shared_ptr<telemetry::EventQueue> queue_;
  std::unique_ptr<net::Thread> thread_;
};

}  // namespace smartvpn::server
