// The dialling end of WireGuard, made of the server's own device: one peer, whose endpoint is known, and a host that
// lets it in and passes packets on. For tests that need a client, and for measurements.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/loop.hpp"
#include "transport/wireguard/device.hpp"

namespace smartvpn::testing {

struct WireguardClientOptions {
  SecretKey private_key;
  PublicKey server_key{};
  std::shared_ptr<const SecretKey> psk;
  inet::Endpoint server;
  uint16_t mtu = 1420;
  Duration persistent_keepalive{0};
  crypto::AeadEngine::Backend aead = crypto::AeadEngine::Backend::automatic;
};

// Everything belongs to the loop's thread. Whoever makes it flushes it at the end of each turn.
class WireguardClient final : private session::Host, private session::Admission {
 public:
  static constexpr uint64_t kSession = 1, kNumber = 1;
  using Packets = std::function<void(std::span<const PacketView>)>;

  // `on_packets` gets what the server sends.
  static Result<std::unique_ptr<WireguardClient>> create(net::Loop& loop, PacketPool& pool,
                                                         const WireguardClientOptions& options, Packets on_packets) {
    std::unique_ptr<WireguardClient> client(new WireguardClient(loop, pool, options, std::move(on_packets)));
    wireguard::ListenerOptions listener;
    listener.address.ip = options.server.ip.is_v4() ? inet::IpAddress::v4(0) : *inet::IpAddress::parse("::");
    auto bound = client->device_->listen(std::move(listener));
    if (!bound) return bound.error();
    client->local_ = *bound;
    wireguard::PeerSettings peer;
    peer.key = options.server_key;
    peer.psk = options.psk;
    peer.persistent_keepalive = options.persistent_keepalive;
    peer.endpoint = options.server;
    peer.client_number = kNumber;
    client->device_->set_peer(peer);
    return client;
  }

  // Begins a handshake where there is no session; the packet waits for it then.
  Drop send(Packet&& packet) {
    return link_ ? link_->send(std::move(packet)) : device_->wake(kNumber, std::move(packet));
  }
  void flush() { device_->flush(); }
  const inet::Endpoint& local() const { return local_; }  // of an unspecified address
  bool connected() const { return link_ != nullptr; }
  wireguard::Device& device() { return *device_; }
  session::Link* link() { return link_; }
  uint16_t mtu() const { return mtu_; }
  uint64_t dropped() const { return dropped_; }
  const std::string& log() const { return log_; }

 private:
  WireguardClient(net::Loop& loop, PacketPool& pool, const WireguardClientOptions& options, Packets on_packets)
      : mtu_(options.mtu), aead_(options.aead), on_packets_(std::move(on_packets)) {
    wireguard::DeviceOptions device;
    device.identity = std::make_shared<const wireguard::Identity>(options.private_key.clone());
    device.mtu = options.mtu;
    system_rng().fill(device.cookie_seed.span());
    session::Host& host = *this;
    const wireguard::Surroundings around{loop, host, aead_, pool, system_rng(), next_connection_id_};
    device_ = std::make_unique<wireguard::Device>(around, std::move(device));
  }

  // session::Host
  session::Admission& admission() override { return *this; }
  uint64_t on_confirmed(const session::Connection&, session::Link& link, Reason*) override {
    link_ = &link;
    return kSession;
  }
  void on_packets(uint64_t, std::span<const PacketView> batch) override { on_packets_(batch); }
  void on_drop(uint64_t, Drop, uint64_t packets) override { dropped_ += packets; }
  void on_rtt(uint64_t, Duration, Time) override {}
  void on_roamed(uint64_t, const session::Connection&) override {}
  void on_awaited(uint64_t, Packet&& packet) override {
    const uint64_t segments = packet.segments;
    if (link_->send(std::move(packet)) != Drop::none) dropped_ += segments;
  }
  void on_silence(uint64_t, bool) override {}
  void on_log(int, std::string text) override { log_ += text + "\n"; }
  bool draining() const override { return false; }
  // session::Admission
  Reason on_accept(const session::Connection&) override { return Reason::none; }
  Reason on_http_proxy(const session::Connection&) override { return Reason::none; }
  Reason on_real_address(const session::Connection&) override { return Reason::none; }
  bool may_start_handshake(const session::Connection&) override { return true; }
  bool knows_key(const PublicKey&) override { return true; }
  const SecretKey* shared_secret(const PublicKey&, const PublicKey&) override { return nullptr; }
  std::optional<session::IdentityVerdict> on_identity(const session::Connection&, const session::Identity&) override {
    return session::IdentityVerdict{};
  }
  Reason may_send(const session::Connection&) override { return Reason::none; }
  Reason may_shake_hands(const session::Connection&, const PublicKey&) override { return Reason::none; }
  Reason may_roam(const session::Connection&) override { return Reason::none; }
  void on_closed(const session::Connection&, Reason, const std::string&) noexcept override { link_ = nullptr; }

  const uint16_t mtu_;
  inet::Endpoint local_;
  crypto::AeadEngine aead_;
  Packets on_packets_;
  session::Link* link_ = nullptr;
  uint64_t next_connection_id_ = 1;
  uint64_t dropped_ = 0;
  std::string log_;
  std::unique_ptr<wireguard::Device> device_;
};

}  // namespace smartvpn::testing
