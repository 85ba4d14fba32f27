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

TunEngine::TunEngine(net::Loop& loop, TunOptions options, InternetAccess internet)
    : loop_(loop),
      options_(std::move(options)),
      internet_(std::move(internet)),
      revival_(
          loop, [this] { return make_again(); }, [this](const std::string& text) { on_tun_notice(text); }) {}
TunEngine::~TunEngine() { stop(); }

Result<void> TunEngine::start(const EngineNetwork& network, EngineSink& sink) {
  sink_ = &sink;
  auto device = TunDevice::open(loop_, options_, sink.engine_pool(), *this);
  if (!device) return device.error();
  if (auto result = set_up(**device, network); !result) return result;
  network_ = network;
  name_ = (*device)->name();
  device_ = std::move(*device);
  return {};
}

// A device of the host's has the routes that the host gave it.
Result<void> TunEngine::set_routes(const std::vector<inet::Cidr>& routes) {
  if (options_.fd >= 0) return {};
  EngineNetwork changed = network_;
  changed.routes = routes;
  if (!device_) {
    network_ = std::move(changed);  // for the device to come
    return {};
  }
  auto result = device_->apply(settings_of(changed));
  // A device that has gone meanwhile is made anew with these.
  if (result || result.error().system_errno == ENODEV) network_ = std::move(changed);
  return result;
}

// The table comes last, so that a device that fails leaves none behind.
Result<void> TunEngine::set_up(TunDevice& device, const EngineNetwork& network) {
  auto at = [](Error error, const std::string& path) {
    if (error.path.empty()) error.path = path;
    return error;
  };
  if (options_.fd >= 0) {
    device.start_reading();
  } else if (auto result = device.apply(settings_of(network)); !result) {
    return at(result.error(), options_.path);
  }
  if (!internet_.masquerade) return {};
  auto table = Masquerade::create(loop_, {device.name(), internet_.out_interface, network.subnets});
  if (!table) return at(table.error(), "/tun/masquerade");
  masquerade_ = std::move(*table);
  return {};
}

Result<void> TunEngine::make_again() {
  masquerade_.reset();
  device_.reset();  // of an attempt that had no memory to end well
  TunOptions options = options_;
  options.name = name_;
  auto device = TunDevice::open(loop_, options, sink_->engine_pool(), *this);
  if (!device) return device.error();
  if (auto result = set_up(**device, network_); !result) return result;
  device_ = std::move(*device);
  sink_->on_engine_recovered("device " + name_ + " was made anew");
  return {};
}

void TunEngine::stop() {
  revival_.stop();
  masquerade_.reset();
  device_.reset();
  sink_ = nullptr;
}

void TunEngine::write(std::span<const PacketView> batch) {
  if (device_) return device_->write(batch);
  if (sink_) sink_->on_engine_drop(Drop::engine_failed, batch.size());
}

bool TunEngine::takes_super_packets() const { return device_ && device_->has_offload(); }
void TunEngine::on_tun_packets(std::span<Packet> batch) { sink_->on_engine_packets(batch); }
void TunEngine::on_tun_drop(Drop drop, uint64_t packets) { sink_->on_engine_drop(drop, packets); }
void TunEngine::on_tun_notice(const std::string& text) { sink_->on_engine_notice(text); }

// What the host has lent us is for the host to bring back.
void TunEngine::on_tun_failed(const Error& error) {
  if (options_.fd < 0) {
    masquerade_.reset();
    device_.reset();
    revival_.begin();  // before anything that may want memory
  }
  sink_->on_engine_failed(error);
}

}  // namespace smartvpn::forward
