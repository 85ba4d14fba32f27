#include "tunnel/client_engine.hpp"

#include <optional>

#include "base/features.hpp"
#include "forward/testing_engine.hpp"
#include "forward/tun/lasting_tun.hpp"

namespace smartvpn::tunnel {
namespace {

using Mode = config::TunnelForwardingConfig::Mode;
using Routes = config::TunnelTunConfig::Routes;

// The server's engines serve here too: the own addresses are the inner network.
class WrappedEngine final : public ClientEngine {
 public:
  WrappedEngine(std::unique_ptr<forward::Engine> engine, std::shared_ptr<forward::HostChannel> channel,
                forward::EngineSink& sink)
      : engine_(std::move(engine)), channel_(std::move(channel)), sink_(sink) {}

  Result<void> open() override { return channel_ ? engine_->start({}, sink_) : Result<void>(); }
  Result<void> apply(const session::SessionParameters& parameters, const inet::IpAddress&) override {
    if (channel_) return {};
    forward::EngineNetwork network;
    for (const auto& ip : parameters.addresses) network.subnets.push_back({ip, static_cast<uint8_t>(ip.bits())});
    network.mtu = parameters.mtu;
    engine_->stop();
    return engine_->start(network, sink_);
  }
  void write(std::span<const PacketView> batch) override { engine_->write(batch); }
  void flush() override { engine_->flush(); }
  bool takes_super_packets() const override { return engine_->takes_super_packets(); }
  void close() override { engine_->stop(); }
  std::shared_ptr<forward::HostChannel> channel() const override { return channel_; }

 private:
  std::unique_ptr<forward::Engine> engine_;
  std::shared_ptr<forward::HostChannel> channel_;
  forward::EngineSink& sink_;
};

class TunClientEngine final : public ClientEngine {
 public:
  TunClientEngine(const config::TunnelConfig& config, net::Loop& loop, forward::EngineSink& sink)
      : config_(config.tun),
        loop_(loop),
        sink_(sink),
        tun_(loop, config.tun.name,
             {[this](const std::string& name, forward::TunHandler& handler) { return make_device(name, handler); },
              nullptr}) {}

  Result<void> open() override { return tun_.open(sink_); }

  Result<void> keep_outside(const std::vector<inet::IpAddress>& addresses, bool afresh) override {
    return tun_.device() ? tun_.device()->keep_outside(addresses, afresh) : Result<void>();
  }

  Result<void> apply(const session::SessionParameters& parameters, const inet::IpAddress& server) override {
    forward::TunSettings settings;
    for (const auto& ip : parameters.addresses) settings.addresses.push_back({ip, static_cast<uint8_t>(ip.bits())});
    if (config_.routes == Routes::from_server) settings.routes = parameters.routes;
    if (config_.routes == Routes::listed) settings.routes = config_.listed_routes;
    if (server) settings.outside.push_back(server);
    settings.mtu = parameters.mtu;
    settings_ = std::move(settings);
    if (!tun_.device()) return make_error(Status::CLOSED, "the device is gone", "/tun");
    return tun_.device()->apply(*settings_);
  }

  void write(std::span<const PacketView> batch) override { tun_.write(batch); }
  bool takes_super_packets() const override { return tun_.takes_super_packets(); }
  void close() override { tun_.close(); }
  std::string device_name() const override { return tun_.name(); }

 private:
  Result<std::unique_ptr<forward::TunDevice>> make_device(const std::string& name, forward::TunHandler& handler) {
    forward::TunOptions options;
    options.name = name;
    options.path = "/tun";
    auto device = forward::TunDevice::open(loop_, options, sink_.engine_pool(), handler);
    if (!device || !settings_) return device;
    if (auto result = (*device)->apply(*settings_); !result) return result.error();
    return device;
  }

  const config::TunnelTunConfig config_;
  net::Loop& loop_;
  forward::EngineSink& sink_;
  std::optional<forward::TunSettings> settings_;  // of the session; for a device that is made anew
  forward::LastingTun tun_;
};

}  // namespace

Result<std::unique_ptr<ClientEngine>> make_client_engine(const config::TunnelConfig& config, net::Loop& loop,
                                                         forward::EngineSink& sink) {
  switch (config.forwarding.mode) {
    case Mode::testing:
      return std::unique_ptr<ClientEngine>(
          new WrappedEngine(std::make_unique<forward::TestingEngine>(), nullptr, sink));
    case Mode::host: {
      auto engine = std::make_unique<forward::HostEngine>(loop, forward::HostEngineOptions{});
      auto channel = engine->channel();
      return std::unique_ptr<ClientEngine>(new WrappedEngine(std::move(engine), std::move(channel), sink));
    }
    case Mode::tun:
      if (!SMARTVPN_WITH_TUN)
        return make_error(Status::UNSUPPORTED, "this build has no tun device", "/forwarding/mode");
      return std::unique_ptr<ClientEngine>(new TunClientEngine(config, loop, sink));
  }
  return make_error(Status::INTERNAL, "no engine of this mode");
}

}  // namespace smartvpn::tunnel
