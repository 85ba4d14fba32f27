// Nothing behind the tunnel but a ping responder: every address of the inner networks answers echo requests.
// For first steps and tests, without root.
#pragma once

#include "forward/engine.hpp"

namespace smartvpn::forward {

class TestingEngine final : public Engine {
 public:
  Result<void> start(const EngineNetwork& network, EngineSink& sink) override;
  // The replies of a batch go to the sink before write() returns; everything that is not an echo request to
  // an address inside the subnets is counted as engine_ignored.
  void write(std::span<const PacketView> batch) override;
  bool takes_super_packets() const override { return false; }
  void stop() override;

 private:
  bool inside(const inet::IpAddress& address) const noexcept;
  Packet answer(const PacketView& request) const;

  std::vector<inet::Cidr> subnets_;
  EngineSink* sink_ = nullptr;
  std::vector<Packet> replies_;
};

}  // namespace smartvpn::forward
