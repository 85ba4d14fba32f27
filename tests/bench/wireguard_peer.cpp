// A WireGuard client with a kernel device, made of the server's own machines: the other end of benchmarks, where the
// figures shall be about this code at both ends. Not installed. Runs until SIGTERM or SIGINT, and makes its device
// itself.
//
//   wireguard_peer --private-key BASE64 --peer-key BASE64 --endpoint HOST:PORT --address 10.8.0.2/24 --tun NAME
//                  [--psk BASE64] [--mtu 1420] [--keepalive SECONDS] [--aead automatic|openssl|sodium|avx2|avx512]
#include <sys/signalfd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "forward/tun/tun_engine.hpp"
#include "net/fd_watcher.hpp"
#include "support/wireguard_client.hpp"

namespace smartvpn::testing {
namespace {

[[noreturn]] void fail(const std::string& text) {
  std::fprintf(stderr, "wireguard_peer: %s\n", text.c_str());
  std::exit(2);
}

using Arguments = std::map<std::string, std::string>;

Arguments read_arguments(int count, char** values) {
  Arguments out;
  for (int i = 1; i + 1 < count; i += 2) out[values[i]] = values[i + 1];
  if (count % 2 == 0) fail("each option has a value");
  for (const char* name : {"--private-key", "--peer-key", "--endpoint", "--address", "--tun"})
    if (!out.count(name)) fail(std::string(name) + " is missing");
  return out;
}

std::string value_or(const Arguments& arguments, const std::string& name, const std::string& otherwise) {
  auto it = arguments.find(name);
  return it == arguments.end() ? otherwise : it->second;
}

template <class T>
T need(std::optional<T> value, const char* what) {
  if (!value) fail(std::string("not ") + what);
  return std::move(*value);
}

WireguardClientOptions client_options(const Arguments& arguments) {
  WireguardClientOptions out;
  out.private_key = need(parse_secret_key(arguments.at("--private-key")), "a private key");
  out.server_key = need(parse_public_key(arguments.at("--peer-key")), "a public key");
  if (auto it = arguments.find("--psk"); it != arguments.end())
    out.psk = std::make_shared<const SecretKey>(need(parse_secret_key(it->second), "a preshared key"));
  out.server = need(inet::Endpoint::parse(arguments.at("--endpoint")), "an endpoint");
  out.mtu = static_cast<uint16_t>(std::stoul(value_or(arguments, "--mtu", "1420")));
  out.persistent_keepalive = seconds(std::stol(value_or(arguments, "--keepalive", "0")));
  out.aead = need(crypto::AeadEngine::parse_backend(value_or(arguments, "--aead", "automatic")), "an AEAD");
  return out;
}

forward::TunOptions device_options(const Arguments& arguments) {
  forward::TunOptions out;
  out.name = arguments.at("--tun");
  out.path = "--tun";
  return out;
}

// The device on one side, the client on the other.
class Peer final : private forward::EngineSink, private net::FdHandler {
 public:
  Peer(net::Loop& loop, const Arguments& arguments) : loop_(loop), engine_(loop, device_options(arguments)) {
    auto client = WireguardClient::create(loop, pool_, client_options(arguments),
                                          [this](std::span<const PacketView> batch) { engine_.write(batch); });
    if (!client) fail(client.error().text);
    client_ = std::move(*client);
    start_engine(arguments);
    watch_signals();
    loop.set_turn_hook([this] {
      engine_.flush();
      client_->flush();
    });
  }
  ~Peer() override {
    loop_.set_turn_hook({});
    engine_.stop();
  }

 private:
  void start_engine(const Arguments& arguments) {
    const std::string& address = arguments.at("--address");
    forward::EngineNetwork network;
    network.subnets = {need(inet::Cidr::parse(address), "an address with a prefix")};
    network.gateways = {need(inet::IpAddress::parse(address.substr(0, address.find('/'))), "an address")};
    network.mtu = client_->mtu();
    forward::EngineSink& self = *this;
    if (auto started = engine_.start(network, self); !started) fail(started.error().text);
  }

  void watch_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    net::FdHandler& self = *this;
    auto watcher = net::FdWatcher::create(loop_, net::Fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)), self);
    if (!watcher) fail(watcher.error().text);
    signals_ = std::move(*watcher);
    signals_->watch(true, false);
  }

  void on_engine_packets(std::span<Packet> batch) override {
    for (Packet& packet : batch) client_->send(std::move(packet));
  }
  void on_engine_drop(Drop, uint64_t) override {}
  void on_engine_failed(const Error& error) override { fail(error.text); }
  void on_engine_recovered(const std::string&) override {}
  void on_engine_notice(const std::string&) override {}
  PacketPool& engine_pool() override { return pool_; }
  void on_readable() override { loop_.stop(); }
  void on_fd_error() override { loop_.stop(); }

  net::Loop& loop_;
  PacketPool pool_;
  std::unique_ptr<WireguardClient> client_;
  forward::TunEngine engine_;
  std::unique_ptr<net::FdWatcher> signals_;
};

}  // namespace
}  // namespace smartvpn::testing

int main(int argc, char** argv) {
  using namespace smartvpn;
  const auto arguments = testing::read_arguments(argc, argv);
  auto loop = net::Loop::create();
  if (!loop) testing::fail(loop.error().text);
  testing::Peer peer(**loop, arguments);
  (*loop)->run();
  return 0;
}
