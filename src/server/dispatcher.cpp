#include "server/dispatcher.hpp"

namespace smartvpn::server {

Result<std::unique_ptr<Dispatcher>> Dispatcher::start(std::shared_ptr<telemetry::EventQueue> queue, Callback callback,
                                                      std::function<void()> on_exception) {
  std::unique_ptr<Dispatcher> dispatcher(new Dispatcher(queue));
  auto body = [queue, callback = std::move(callback), on_exception = std::move(on_exception)] {
    for (;;) {
      auto event = queue->next(-1);
      if (!event) {
        if (event.error().status == Status::CLOSED) return;
        continue;
      }
      try {
        callback(**event);
      } catch (...) {
        on_exception();
      }
    }
  };
  auto thread = net::Thread::start("svpn-events", std::move(body));
  if (!thread) return thread.error();
  dispatcher->thread_ = std::move(*thread);
  return dispatcher;
}

Dispatcher::~Dispatcher() { queue_->close(); }

}  // namespace smartvpn::server
