// Forwarding through the host's kernel: every subnet's gateway address sits on a tun device.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "forward/engine.hpp"
#include "forward/tun/masquerade.hpp"
#include "forward/tun/tun_device.hpp"
#include "forward/tun/tun_revival.hpp"

namespace smartvpn::forward {

// Whether clients reach the internet by this host's addresses; see masquerade.hpp.
struct InternetAccess {
  bool masquerade = false;
  std::string out_interface;  // "": any
};

// A device of the host's (TunOptions::fd) is used as it is: its addresses, routes, MTU and state are the host's. One of
// our own that somebody deletes is made anew under the same name, with all it had.
class TunEngine final : public Engine, private TunHandler {
 public:
  TunEngine(net::Loop& loop, TunOptions options, InternetAccess internet = {});
  ~TunEngine() override;

  // UNSUPPORTED in a build without tun; SYSTEM when the kernel refuses.
  Result<void> start(const EngineNetwork& network, EngineSink& sink) override;
  void write(std::span<const PacketView> batch) override;
  bool takes_super_packets() const override;
  Result<void> set_routes(const std::vector<inet::Cidr>& routes) override;
  void stop() override;
  std::string device_name() const override { return name_; }

 private:
  void on_tun_packets(std::span<Packet> batch) override;
  void on_tun_drop(Drop drop, uint64_t packets) override;
  void on_tun_failed(const Error& error) override;
  void on_tun_notice(const std::string& text) override;

  net::Loop& loop_;
  Result<void> make_again();
  Result<void> set_up(TunDevice& device, const EngineNetwork& network);

  const TunOptions options_;
  const InternetAccess internet_;
  EngineSink* sink_ = nullptr;
  EngineNetwork network_;
  std::string name_;
  std::unique_ptr<TunDevice> device_;
  std::unique_ptr<Masquerade> masquerade_;
  TunRevival revival_;
};

}  // namespace smartvpn::forward
