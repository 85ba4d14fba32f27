// See tun_queue_engine.hpp.
#include "forward/tun/tun_queue_engine.hpp"

#include <utility>

namespace smartvpn::forward {

TunQueueEngine::TunQueueEngine(net::Loop& loop, TunOptions queue) : loop_(loop), queue_(std::move(queue)) {}
TunQueueEngine::~TunQueueEngine() { stop(); }

Result<void> TunQueueEngine::start(const EngineNetwork&, EngineSink& sink) {
  sink_ = &sink;
  auto joined = join();
  if (!joined) sink_ = nullptr;
  return joined;
}

Result<void> TunQueueEngine::rejoin(TunOptions queue) {
  device_.reset();
  queue_ = std::move(queue);
  auto joined = join();
  if (joined) sink_->on_engine_recovered("device " + queue_.name + " has a queue for this shard again");
  return joined;
}

Result<void> TunQueueEngine::join() {
  auto device = TunDevice::open(loop_, queue_, sink_->engine_pool(), *this);
  if (!device) return device.error();
  device_ = std::move(*device);
  device_->start_reading();
  return {};
}

void TunQueueEngine::stop() {
  device_.reset();
  sink_ = nullptr;
}

void TunQueueEngine::write(std::span<const PacketView> batch) {
  if (device_) return device_->write(batch);
  if (sink_) sink_->on_engine_drop(Drop::engine_failed, batch.size());
}

void TunQueueEngine::on_tun_packets(std::span<Packet> batch) { sink_->on_engine_packets(batch); }
void TunQueueEngine::on_tun_drop(Drop drop, uint64_t packets) { sink_->on_engine_drop(drop, packets); }
void TunQueueEngine::on_tun_notice(const std::string& text) { sink_->on_engine_notice(text); }

void TunQueueEngine::on_tun_failed(const Error& error) {
  device_.reset();
  sink_->on_engine_failed(error);
}

}  // namespace smartvpn::forward
