// One thread waits for two queues by their descriptors, and takes one thing of each a turn.
#include "server/dispatcher.hpp"

#include <poll.h>

#include <new>
#include <thread>

#include "server/server.hpp"

namespace smartvpn::server {
namespace {

constexpr milliseconds kPause(10);  // where memory is short

// One queue and what was taken from it, which stays until its callback has had it.
template <class Queue, class Item>
struct Duty {
  // True when there was no memory for it: in a moment, then. Nothing more once the queue is closed.
  template <class Callback>
  bool serve(const Callback& callback, const char* name,
             const std::function<void(const char*)>& on_exception) noexcept {
    if (!queue) return false;
    try {
      if (!item) {
        auto next = queue->next(0);
        // What others took first is no news.
        if (!next && next.error().status == Status::CLOSED) queue.reset();
        if (!next) return false;
        item = std::move(*next);
      }
    } catch (const std::bad_alloc&) {
      return true;
    }
    try {
      callback(*item);
    } catch (const Callbacks::CallLater&) {
      return true;
    } catch (...) {
      on_exception(name);
    }
    item.reset();
    return false;
  }

  std::shared_ptr<Queue> queue;
  Item item = nullptr;
};

template <class Requests, class Events>
void wait_for_either(const Requests& requests, const Events& events) noexcept {
  pollfd entries[2] = {{requests.queue ? requests.queue->fd() : -1, POLLIN, 0},
                       {events.queue ? events.queue->fd() : -1, POLLIN, 0}};
  ::poll(entries, 2, -1);
}

}  // namespace

Result<std::unique_ptr<Dispatcher>> Dispatcher::start(Duties duties) {
  std::unique_ptr<Dispatcher> dispatcher(new Dispatcher(duties));
  auto body = [duties = std::move(duties)]() mutable {
    Duty<RequestQueue, RequestPtr> requests{std::move(duties.requests)};
    Duty<telemetry::EventQueue, telemetry::EventPtr> events{std::move(duties.events)};
    while (requests.queue || events.queue) {
      if (!requests.item && !events.item) wait_for_either(requests, events);
      bool short_of_memory = requests.serve(duties.on_request, "authorize", duties.on_exception);
      short_of_memory |= events.serve(duties.on_event, "event", duties.on_exception);
      if (short_of_memory) std::this_thread::sleep_for(kPause);
    }
  };
  auto thread = net::Thread::start("svpn-events", std::move(body));
  if (!thread) return thread.error();
  dispatcher->thread_ = std::move(*thread);
  return dispatcher;
}

Dispatcher::~Dispatcher() {
  if (events_) events_->close();
  if (requests_) requests_->close();
}

}  // namespace smartvpn::server
