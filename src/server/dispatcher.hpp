// Runs the host's callbacks, one at a time, on a thread of its own and with no lock held. Exists only while a
// callback is set. Events and authorize requests have a queue each; a request, which has a deadline, goes first.
#pragma once

#include <functional>
#include <memory>

#include "net/thread.hpp"
#include "server/request_queue.hpp"
#include "telemetry/event_queue.hpp"

namespace smartvpn::server {

class Dispatcher {
 public:
  // A queue may be null; its callback is then not called.
  struct Duties {
    std::shared_ptr<telemetry::EventQueue> events;
    std::function<void(const telemetry::Event&)> on_event;
    std::shared_ptr<RequestQueue> requests;
    std::function<void(const AuthorizeRequest&)> on_request;
    std::function<void(const char* callback)> on_exception;  // one that left the callback of this name
  };

  // Until every queue is closed, and the events are read.
  static Result<std::unique_ptr<Dispatcher>> start(Duties duties);
  // Waits for the callback that runs, unless called from it.
  ~Dispatcher();
  bool is_current() const { return thread_ && thread_->is_current(); }
  void abandon_after_fork() noexcept { thread_->abandon_after_fork(); }

 private:
  explicit Dispatcher(const Duties& duties) : events_(duties.events), requests_(duties.requests) {}
  std::shared_ptr<telemetry::EventQueue> events_;
  std::shared_ptr<RequestQueue> requests_;
  std::unique_ptr<net::Thread> thread_;
};

}  // namespace smartvpn::server
