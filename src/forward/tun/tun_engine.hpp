// Forwarding through the host's kernel: every subnet's gateway address sits on a tun device.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "forward/engine.hpp"
#include "forward/tun/lasting_tun.hpp"
#include "forward/tun/masquerade.hpp"

namespace smartvpn::forward {

// Whether clients reach the internet by this host's addresses; see masquerade.hpp.
struct InternetAccess {
  bool masquerade = false;
  std::string out_interface;  // "": any
};

// One more queue of a device, and how to open() it: `options.fd` is `fd`.
struct TunQueue {
  net::Fd fd;
  TunOptions options;
};

// A device of the host's (TunOptions::fd) is used as it is: its addresses, routes, MTU and state are the host's. One of
// our own that somebody deletes is made anew under the same name, with all it had.
class TunEngine final : public Engine {
 public:
  TunEngine(net::Loop& loop, TunOptions options, InternetAccess internet = {});
  ~TunEngine() override;

  // UNSUPPORTED in a build without tun; SYSTEM when the kernel refuses.
  Result<void> start(const EngineNetwork& network, EngineSink& sink) override;
  void write(std::span<const PacketView> batch) override { tun_.write(batch); }
  bool takes_super_packets() const override { return tun_.takes_super_packets(); }
  Result<void> set_routes(const std::vector<inet::Cidr>& routes) override;
  void stop() override { tun_.close(); }
  std::string device_name() const override { return tun_.name(); }

  // For the other shards' TunQueueEngine, see TunDevice::another_queue(); nothing while there is no device.
  std::optional<TunOptions> another_queue() const;
  // `count` of them at once, open, so that they have the numbers 1 to `count` in this order; or none. BAD_STATE where
  // there is no device, UNSUPPORTED where it has one queue only, SYSTEM where the kernel refuses. Any of them that is
  // closed changes the numbers of the others.
  Result<std::vector<TunQueue>> open_queues(size_t count) const;
  // See TunDevice::steer_by(). A device that was made anew (EngineSink::on_engine_recovered) has to be told again.
  Result<void> steer_by(const TunSteering& steering);

 private:
  Result<std::unique_ptr<TunDevice>> make_device(const std::string& name, TunHandler& handler);
  Result<void> set_up(TunDevice& device);

  net::Loop& loop_;
  const TunOptions options_;
  const InternetAccess internet_;
  EngineNetwork network_;
  PacketPool* pool_ = nullptr;
  std::unique_ptr<Masquerade> masquerade_;
  LastingTun tun_;
};

}  // namespace smartvpn::forward
