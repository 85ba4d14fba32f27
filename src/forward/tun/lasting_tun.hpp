// The tun device of an engine, with what both ends do about it: it hands packets on, and when somebody has deleted it
// it is made again under the same name, with all it had; meanwhile what should go to it is dropped.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "forward/engine.hpp"
#include "forward/tun/tun_device.hpp"
#include "forward/tun/tun_revival.hpp"

namespace smartvpn::forward {

class LastingTun final : private TunHandler {
 public:
  struct Maker {
    // Opens a device of this name ("": any) and puts on it what it should have now. At first, and for every revival.
    std::function<Result<std::unique_ptr<TunDevice>>(const std::string& name, TunHandler& handler)> make;
    // Undoes what goes with the device, right before it goes.
    std::function<void()> part;
    bool lent = false;  // a device of the host's, which is for the host to bring back
  };

  // The loop outlives it; the maker is called on its thread.
  LastingTun(net::Loop& loop, std::string name, Maker maker);
  ~LastingTun() override;

  // The sink outlives it, or close().
  Result<void> open(EngineSink& sink);
  void close();

  // Null before open(), after close(), and while it is gone.
  TunDevice* device() const noexcept { return device_.get(); }
  const std::string& name() const noexcept { return name_; }  // what the kernel called it at first
  bool takes_super_packets() const noexcept { return device_ && device_->has_offload(); }
  // Without a device: drops as engine_failed.
  void write(std::span<const PacketView> batch);

 private:
  Result<void> make();
  Result<void> make_again();
  void part();
  void on_tun_packets(std::span<Packet> batch) override;
  void on_tun_drop(Drop drop, uint64_t packets) override;
  void on_tun_failed(const Error& error) override;
  void on_tun_notice(const std::string& text) override;

  const Maker maker_;
  std::string name_;
  EngineSink* sink_ = nullptr;
  std::unique_ptr<TunDevice> device_;
  TunRevival revival_;
};

}  // namespace smartvpn::forward
