// Forwarding through one more queue of a device that another shard's TunEngine owns and has set up: this one reads and
// writes on its own thread, and sets nothing.
#pragma once

#include <memory>
#include <string>

#include "forward/engine.hpp"
#include "forward/tun/tun_device.hpp"

namespace smartvpn::forward {

// Routes, addresses and the device's life are the owner's. When somebody deletes the device, what should go to it is
// dropped until the owner has made it anew and somebody has brought that word here.
class TunQueueEngine final : public Engine, private TunHandler {
 public:
  // `queue`: of TunEngine::another_queue(). The loop outlives it.
  TunQueueEngine(net::Loop& loop, TunOptions queue);
  ~TunQueueEngine() override;

  Result<void> start(const EngineNetwork& network, EngineSink& sink) override;
  void write(std::span<const PacketView> batch) override;
  bool takes_super_packets() const override { return device_ && device_->has_offload(); }
  void stop() override;
  std::string device_name() const override { return queue_.name; }

  // False once somebody has deleted the device, until rejoin().
  bool has_device() const noexcept { return device_ != nullptr; }

  // After start(), of the device that the owner has made in place of the one that went.
  Result<void> rejoin(TunOptions queue);

 private:
  Result<void> join();
  void on_tun_packets(std::span<Packet> batch) override;
  void on_tun_drop(Drop drop, uint64_t packets) override;
  void on_tun_failed(const Error& error) override;
  void on_tun_notice(const std::string& text) override;

  net::Loop& loop_;
  TunOptions queue_;
  EngineSink* sink_ = nullptr;
  std::unique_ptr<TunDevice> device_;
};

}  // namespace smartvpn::forward
