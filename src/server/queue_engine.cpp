// See queue_engine.hpp.
#include "server/queue_engine.hpp"

namespace smartvpn::server {

Result<void> QueueEngine::start(const forward::EngineNetwork& network, forward::EngineSink& sink) {
  sink_ = &sink;
  return far_.start(network, sink);
}

void QueueEngine::stop() {
  queue_.reset();
  far_.stop();
}

Result<void> QueueEngine::join(const forward::TunOptions& queue) {
  if (queue_) return queue_->rejoin(queue);
  auto first = std::make_unique<forward::TunQueueEngine>(loop_, queue);
  if (auto started = first->start({}, *this); !started) return started;
  queue_ = std::move(first);
  return {};
}

}  // namespace smartvpn::server
