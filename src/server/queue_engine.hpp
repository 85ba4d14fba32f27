// The engine of a shard that does not own it: through a queue of its own where it is a tun device that has one for this
// shard, else by ring to the owner, which is how it begins.
#pragma once

#include <memory>

#include "forward/tun/tun_queue_engine.hpp"
#include "server/far_engine.hpp"

namespace smartvpn::server {

class QueueEngine final : public forward::Engine, private forward::EngineSink {
 public:
  // `super_packets`: what the owner's engine takes. Loop and end outlive it.
  QueueEngine(net::Loop& loop, Crossing::End& end, bool super_packets) : loop_(loop), far_(end, super_packets) {}

  Result<void> start(const forward::EngineNetwork& network, forward::EngineSink& sink) override;
  void write(std::span<const PacketView> batch) override { engine().write(batch); }
  bool takes_super_packets() const override {
    return has_queue() ? queue_->takes_super_packets() : far_.takes_super_packets();
  }
  void stop() override;

  // After start(). In place of the queue it had, if any, whose device is gone. Without it packets go by ring.
  Result<void> join(const forward::TunOptions& queue);
  bool has_queue() const noexcept { return queue_ && queue_->has_device(); }

 private:
  forward::Engine& engine() noexcept {
    if (has_queue()) return *queue_;
    return far_;
  }
  void on_engine_packets(std::span<Packet> batch) override { sink_->on_engine_packets(batch); }
  void on_engine_drop(Drop drop, uint64_t packets) override { sink_->on_engine_drop(drop, packets); }
  // The owner tells the same of its own queue, and makes the device anew.
  void on_engine_failed(const Error&) override {}
  void on_engine_recovered(const std::string&) override {}
  void on_engine_notice(const std::string& text) override { sink_->on_engine_notice(text); }
  PacketPool& engine_pool() override { return sink_->engine_pool(); }

  net::Loop& loop_;
  FarEngine far_;
  forward::EngineSink* sink_ = nullptr;
  std::unique_ptr<forward::TunQueueEngine> queue_;
};

}  // namespace smartvpn::server
