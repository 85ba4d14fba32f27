// One thread waits for two queues by their descriptors, and takes one thing of each a turn.
#include "server/dispatcher.hpp"

#include <poll.h>

#include <new>

namespace smartvpn::server {
namespace {

// Nothing once the queue is closed. What others took first is no news.
template <class Queue, class Callback>
void serve(std::shared_ptr<Queue>& queue, const Callback& callback, const char* name,
           const std::function<void(const char*)>& on_exception) {
  if (!queue) return;
  try {
    auto item = queue->next(0);
    if (!item) {
      if (item.error().status == Status::CLOSED) queue.reset();
      return;
    }
    try {
      callback(**item);
    } catch (...) {
      on_exception(name);
    }
  } catch (const std::bad_alloc&) {
    // Of the queue's or the report's: the next turn tries again.
  }
}

void wait_for_either(const Dispatcher::Duties& duties) {
  pollfd entries[2] = {{duties.requests ? duties.requests->fd() : -1, POLLIN, 0},
                       {duties.events ? duties.events->fd() : -1, POLLIN, 0}};
  ::poll(entries, 2, -1);
}

}  // namespace

Result<std::unique_ptr<Dispatcher>> Dispatcher::start(Duties duties) {
  std::unique_ptr<Dispatcher> dispatcher(new Dispatcher(duties));
  auto body = [duties = std::move(duties)]() mutable {
    while (duties.requests || duties.events) {
      wait_for_either(duties);
      serve(duties.requests, duties.on_request, "authorize", duties.on_exception);
      serve(duties.events, duties.on_event, "event", duties.on_exception);
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
