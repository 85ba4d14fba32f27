// See tun_engine.hpp.
#include "forward/tun/tun_engine.hpp"

#include "forward/tun/tun_open.hpp"

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
      tun_(loop, options_.name,
           {[this](const std::string& name, TunHandler& handler) { return make_device(name, handler); },
            [this] { masquerade_.reset(); }, options_.fd >= 0}) {}
TunEngine::~TunEngine() { stop(); }

Result<void> TunEngine::start(const EngineNetwork& network, EngineSink& sink) {
  network_ = network;
  pool_ = &sink.engine_pool();
  return tun_.open(sink);
}

// A device of the host's has the routes that the host gave it.
Result<void> TunEngine::set_routes(const std::vector<inet::Cidr>& routes) {
  if (options_.fd >= 0) return {};
  EngineNetwork changed = network_;
  changed.routes = routes;
  if (!tun_.device()) {
    network_ = std::move(changed);  // for the device to come
    return {};
  }
  auto result = tun_.device()->apply(settings_of(changed));
  // A device that has gone meanwhile is made anew with these.
  if (result || result.error().system_errno == ENODEV) network_ = std::move(changed);
  return result;
}

std::optional<TunOptions> TunEngine::another_queue() const {
  return tun_.device() ? tun_.device()->another_queue() : std::nullopt;
}

Result<std::vector<TunQueue>> TunEngine::open_queues(size_t count) const {
  if (!tun_.device()) return make_error(Status::BAD_STATE, "there is no tun device now");
  const auto queue = another_queue();
  if (!queue) return make_error(Status::UNSUPPORTED, "device " + tun_.name() + " has one queue only");
  std::vector<TunQueue> out;
  for (size_t i = 0; i < count; ++i) {
    auto opened = open_tun(*queue);
    if (!opened) return opened.error();
    out.push_back({std::move(opened->fd), *queue});
    out.back().options.fd = out.back().fd.get();
  }
  return out;
}

Result<void> TunEngine::steer_by(const TunSteering& steering) {
  if (!tun_.device()) return make_error(Status::BAD_STATE, "there is no tun device now");
  return tun_.device()->steer_by(steering);
}

Result<std::unique_ptr<TunDevice>> TunEngine::make_device(const std::string& name, TunHandler& handler) {
  TunOptions options = options_;
  options.name = name;
  auto device = TunDevice::open(loop_, options, *pool_, handler);
  if (!device) return device;
  if (auto result = set_up(**device); !result) return result.error();
  return device;
}

// The table comes last, so that a device that fails leaves none behind.
Result<void> TunEngine::set_up(TunDevice& device) {
  auto at = [](Error error, const std::string& path) {
    if (error.path.empty()) error.path = path;
    return error;
  };
  if (options_.fd >= 0) {
    device.start_reading();
  } else if (auto result = device.apply(settings_of(network_)); !result) {
    return at(result.error(), options_.path);
  }
  if (!internet_.masquerade) return {};
  auto table = Masquerade::create(loop_, {device.name(), internet_.out_interface, network_.subnets});
  if (!table) return at(table.error(), "/tun/masquerade");
  masquerade_ = std::move(*table);
  return {};
}

}  // namespace smartvpn::forward
