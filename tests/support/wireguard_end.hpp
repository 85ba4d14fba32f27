// A WireGuard client of a running server, made of the configuration that the server gave it and turned by the test's
// own thread.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <sstream>

#include "support/loop_runner.hpp"
#include "support/vpn_pair.hpp"
#include "support/wireguard_client.hpp"
#include "support/wireguard_devices.hpp"

namespace smartvpn::testing_support {

constexpr const char* kWireguardListener = R"({"transport":"wireguard","address":"127.0.0.1","port":0})";

// With a WireGuard key; its listener is `listen`, or beside what is there.
inline ServerSetup wireguard_setup(const std::string& listen = kWireguardListener) {
  ServerSetup setup;
  setup.listen = listen;
  setup.keys = R"(,"wireguard_private_key":")" + key_text(crypto::generate_key_pair(system_rng()).secret) + "\"";
  return setup;
}

inline std::string wireguard_client_of(RunningServer& server, const registry::ClientSpec& spec) {
  auto made = server.server->client_create(spec);
  EXPECT_TRUE(made) << made.error().text;
  return made ? made->wireguard_conf : std::string();
}
inline std::string wireguard_client_of(RunningServer& server, const std::string& id) {
  registry::ClientSpec spec;
  spec.id = id;
  return wireguard_client_of(server, spec);
}

class WireguardEnd {
 public:
  enum class Way : uint8_t { direct, relayed };
  // Relayed: by way of `relay()`, which says what its datagrams come from and begin with.
  explicit WireguardEnd(const std::string& conf, Way way = Way::direct) : loop_(testing::make_loop()) {
    std::istringstream lines(conf);
    testing::WireguardClientOptions options;
    for (std::string line; std::getline(lines, line);) read(line, options);
    if (way == Way::relayed) {
      relay_ = std::make_unique<testing::WireguardRelay>(*loop_, options.server);
      options.server = relay_->address();
    }
    auto made = testing::WireguardClient::create(*loop_, pool_, options, [this](std::span<const PacketView> batch) {
      for (const PacketView& packet : batch) received_.emplace_back(packet.bytes.begin(), packet.bytes.end());
    });
    EXPECT_TRUE(made) << made.error().text;
    client_ = std::move(*made);
    loop_->set_turn_hook([this] { client_->flush(); });
    // Labels of handshakes grow every 17 ms: an end that takes the place of another with its key comes later.
    testing::run_until(
        *loop_, [] { return false; }, milliseconds(40));
  }

  const inet::IpAddress& address() const { return address_; }  // IPv4
  const std::string& endpoint() const { return endpoint_; }
  bool connected() const { return client_->connected(); }
  testing::WireguardRelay& relay() { return *relay_; }
  void send(ByteView packet) {
    client_->send(pool_.copy_of(packet));
    client_->flush();
  }
  // The next packet, or nothing when none came in time.
  Bytes next(Duration limit = seconds(20)) {
    if (!testing::run_until(
            *loop_, [this] { return !received_.empty(); }, limit))
      return {};
    Bytes packet = std::move(received_.front());
    received_.pop_front();
    return packet;
  }
  // Whether the server's own address answers, over a session that begins for it where there is none.
  bool hears_an_echo() {
    send(echo_request(address_, *inet::IpAddress::parse("10.8.0.1")));
    return !next().empty();
  }
  // Turns until the test's own condition holds, which may do so while this end sleeps.
  template <class Done>
  bool until(Done&& done) {
    for (int slices = 0; slices < 1000; ++slices)
      if (testing::run_until(*loop_, done, milliseconds(20))) return true;
    return false;
  }

 private:
  void read(const std::string& line, testing::WireguardClientOptions& options) {
    const size_t at = line.find(" = ");
    if (at == std::string::npos) return;
    const std::string key = line.substr(0, at), value = line.substr(at + 3);
    if (key == "PrivateKey") options.private_key = std::move(*parse_secret_key(value));
    if (key == "PublicKey") options.server_key = *parse_public_key(value);
    if (key == "PresharedKey") options.psk = std::make_shared<const SecretKey>(std::move(*parse_secret_key(value)));
    if (key == "Endpoint") options.server = *inet::Endpoint::parse(endpoint_ = value);
    if (key == "Address") address_ = *inet::IpAddress::parse(value.substr(0, value.find('/')));
  }

  std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<testing::WireguardRelay> relay_;
  PacketPool pool_;
  inet::IpAddress address_;
  std::string endpoint_;
  std::deque<Bytes> received_;
  std::unique_ptr<testing::WireguardClient> client_;
};

}  // namespace smartvpn::testing_support
