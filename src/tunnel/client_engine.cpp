#include "tunnel/client_engine.hpp"

#include <optional>

#include "base/features.hpp"
#include "forward/testing_engine.hpp"
#include "forward/tun/tun_revival.hpp"

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

class TunClientEngine final : public ClientEngine, private forward::TunHandler {
 public:
  TunClientEngine(const config::TunnelConfig& config, net::Loop& loop, forward::EngineSink& sink)
      : config_(config.tun),
        loop_(loop),
        sink_(sink),
        name_(config.tun.name),
        revival_(
            loop, [this] { return make_again(); }, [this](const std::string& text) { on_tun_notice(text); }) {}

  Result<void> open() override {
    forward::TunOptions options;
    options.name = name_;
    options.path = "/tun";
    auto device = forward::TunDevice::open(loop_, options, sink_.engine_pool(), *this);
    if (!device) return device.error();
    device_ = std::move(*device);
    name_ = device_->name();
    return {};
  }

  Result<void> keep_outside(const std::vector<inet::IpAddress>& addresses, bool afresh) override {
    return device_ ? device_->keep_outside(addresses, afresh) : Result<void>();
  }

  Result<void> apply(const session::SessionParameters& parameters, const inet::IpAddress& server) override {
    forward::TunSettings settings;
    for (const auto& ip : parameters.addresses) settings.addresses.push_back({ip, static_cast<uint8_t>(ip.bits())});
    if (config_.routes == Routes::from_server) settings.routes = parameters.routes;
    if (config_.routes == Routes::listed) settings.routes = config_.listed_routes;
    if (server) settings.outside.push_back(server);
    settings.mtu = parameters.mtu;
    settings_ = std::move(settings);
    if (!device_) return make_error(Status::CLOSED, "the device is gone", "/tun");
    return device_->apply(*settings_);
  }

  void write(std::span<const PacketView> batch) override {
    if (device_) return device_->write(batch);
    sink_.on_engine_drop(Drop::engine_failed, batch.size());
  }
  bool takes_super_packets() const override { return device_ && device_->has_offload(); }
  void close() override {
    revival_.stop();
    device_.reset();
  }
  std::string device_name() const override { return name_; }

 private:
  Result<void> make_again() {
    device_.reset();  // of an attempt that had no memory to end well
    if (auto result = open(); !result) return result;
    if (settings_) {
      if (auto result = device_->apply(*settings_); !result) {
        device_.reset();
        return result;
      }
    }
    sink_.on_engine_recovered("device " + name_ + " was made anew");
    return {};
  }
  void on_tun_packets(std::span<Packet> batch) override { sink_.on_engine_packets(batch); }
  void on_tun_drop(Drop drop, uint64_t packets) override { sink_.on_engine_drop(drop, packets); }
  void on_tun_notice(const std::string& text) override { sink_.on_engine_notice(text); }
  void on_tun_failed(const Error& error) override {
    device_.reset();
    revival_.begin();  // before anything that may want memory
    sink_.on_engine_failed(error);
  }

  const config::TunnelTunConfig config_;
  net::Loop& loop_;
  forward::EngineSink& sink_;
  std::unique_ptr<forward::TunDevice> device_;
  std::string name_;
  std::optional<forward::TunSettings> settings_;  // of the session; for a device that is made anew
  forward::TunRevival revival_;
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
