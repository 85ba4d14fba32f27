// See tun_engine.hpp.
#include "forward/tun/tun_engine.hpp"

namespace smartvpn::forward {
namespace {

// Each gateway with its subnet's prefix, so that the kernel routes the subnet to the device.
TunSettings settings_of(const EngineNetwork& network) {
  TunSettings out;
  out.mtu = network.mtu;
  out.routes = network.routes;
  for (const auto& gateway : network.gateways) {
    InterfaceAddress address{gateway, static_cast<uint8_t>(gateway.bits())};
    for (const auto& subnet : network.subnets)
      if (subnet.contains(gateway)) address.prefix = subnet.prefix;
    out.addresses.push_back(address);
  }
  return out;
}

}  // namespace

TunEngine::TunEngine(net::Loop& loop, TunOptions options) : loop_(loop), options_(std::move(options)) {}
TunEngine::~TunEngine() { stop(); }

Result<void> TunEngine::start(const EngineNetwork& network, EngineSink& sink) {
  sink_ = &sink;
  auto device = TunDevice::open(loop_, options_, sink.engine_pool(), *this);
  if (!device) return device.error();
  auto result = (*device)->apply(settings_of(network));
  if (!result) {
    Error error = result.error();
    if (error.path.empty()) error.path = options_.path;
    return error;
  }
  network_ = network;
  name_ = (*device)->name();
  device_ = std::move(*device);
  return {};
}

Result<void> TunEngine::set_routes(const std::vector<inet::Cidr>& routes) {
  if (!device_) return {};
  EngineNetwork changed = network_;
  changed.routes = routes;
  if (auto result = device_->apply(settings_of(changed)); !result) return result;
  network_ = std::move(changed);
  return {};
}

void TunEngine::stop() {
  device_.reset();
  sink_ = nullptr;
}

void TunEngine::write(std::span<const PacketView> batch) {
  if (device_) device_->write(batch);
}

bool TunEngine::takes_super_packets() const { return device_ && device_->has_offload(); }
void TunEngine::on_tun_packets(std::span<Packet> batch) { sink_->on_engine_packets(batch); }
void TunEngine::on_tun_drop(Drop drop, uint64_t packets) { sink_->on_engine_drop(drop, packets); }
void TunEngine::on_tun_failed(const Error& error) { sink_->on_engine_failed(error); }

}  // namespace smartvpn::forward
