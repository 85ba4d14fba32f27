// See swarm.hpp.
#include "support/swarm.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "inet/checksum.hpp"
#include "support/fixed_rng.hpp"
#include "tunnel/client_connection_link.hpp"

namespace smartvpn::testing {
namespace {

struct Shared {
  net::Loop& loop;
  PacketPool& pool;
  crypto::AeadEngine& aead;
  config::TunnelConfig config;
  std::shared_ptr<const net::TlsContext> tls;
  bool stay = true;
  size_t connected = 0, answered = 0;
};

Bytes echo_request(const inet::IpAddress& from) {
  const auto gateway = *inet::IpAddress::parse("10.8.0.1");
  Bytes packet = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 7, 0, 0};
  std::copy(from.bytes().begin(), from.bytes().end(), packet.begin() + 12);
  std::copy(gateway.bytes().begin(), gateway.bytes().end(), packet.begin() + 16);
  store_be16(&packet[10], inet::checksum_of(ByteView(packet).first(20)));
  store_be16(&packet[22], inet::checksum_of(ByteView(packet).subspan(20)));
  return packet;
}

class Client final : private tunnel::ClientConnection::Owner {
 public:
  Client(Shared& shared, size_t index)
      : shared_(shared), key_(std::make_shared<const crypto::KeyPair>(swarm_key(index))) {}

  // Begins, or begins again once the last connection has said all it had to say.
  void step() {
    if (connection_ && !(ended_ && connection_->finished())) return;
    ended_ = false;
    tunnel::ClientConnection::Parts parts{shared_.loop,
                                          shared_.aead,
                                          shared_.pool,
                                          system_rng(),
                                          shared_.config,
                                          key_,
                                          shared_.config.keys.server_public_key,
                                          shared_.tls,
                                          nullptr,
                                          {}};
    tunnel::ClientConnection::Owner& self = *this;
    connection_ = std::make_unique<tunnel::ClientConnection>(parts, self, std::vector<inet::IpAddress>());
    connection_->begin();
  }
  void ping() {
    for (const auto& ip : addresses_)
      if (ip.is_v4()) connection_->send(shared_.pool.copy_of(echo_request(ip)));
  }

 private:
  void on_dialling(const std::vector<inet::Endpoint>&) override {}
  void on_connected(const session::SessionParameters& parameters) override {
    addresses_ = parameters.addresses;
    ++shared_.connected;
    if (!shared_.stay) connection_->close(Reason::disconnected);
  }
  void on_reconfigured(const session::SessionParameters&) override {}
  void on_packets(std::span<const PacketView> batch) override { shared_.answered += batch.size(); }
  void on_drop(Drop, uint64_t) override {}
  void on_rtt(Duration) override {}
  void on_silence(bool) override {}
  void on_ended(const tunnel::Ending&) noexcept override {
    shared_.connected -= shared_.stay && !addresses_.empty();
    addresses_.clear();
    ended_ = true;
  }

  Shared& shared_;
  std::shared_ptr<const crypto::KeyPair> key_;
  std::vector<inet::IpAddress> addresses_;
  std::unique_ptr<tunnel::ClientConnection> connection_;
  bool ended_ = false;
};

bool stdin_closed() {
  pollfd ready{STDIN_FILENO, POLLIN, 0};
  return poll(&ready, 1, 0) > 0;
}

void say(const char* what, size_t count) {
  std::printf("%s %zu\n", what, count);
  std::fflush(stdout);
}

}  // namespace

crypto::KeyPair swarm_key(size_t index) {
  SeededRng rng(1000 + index);
  return crypto::generate_key_pair(rng);
}

int run_swarm(const SwarmOrder& order) {
  auto loop = net::Loop::create();
  auto url = config::ServerUrl::parse((order.tls ? "wss://127.0.0.1:" : "ws://127.0.0.1:") +
                                      std::to_string(order.port) + "/tunnel");
  auto server_key = parse_public_key(order.server_key);
  if (!loop || !url || !server_key) return 1;
  PacketPool pool;
  crypto::AeadEngine aead;
  Shared shared{**loop, pool, aead, {}, nullptr};
  shared.stay = !order.churn;
  shared.config.server = *url;
  shared.config.keys.server_public_key = *server_key;
  if (order.tls) {
    net::TlsClientOptions options;
    options.any_certificate = true;
    auto tls = net::TlsContext::client(options);
    if (!tls) return 1;
    shared.tls = *tls;
  }
  std::vector<std::unique_ptr<Client>> all;
  for (size_t i = 0; i < order.clients; ++i) all.push_back(std::make_unique<Client>(shared, i));
  size_t begun = 0, pinged = 0;
  bool told = false;
  net::Timer pace(**loop, [&] {
    if (stdin_closed()) return (*loop)->stop();
    begun = std::min(all.size(), begun + order.a_millisecond);
    for (size_t i = 0; i < begun; ++i) all[i]->step();
    if (order.ping && shared.connected == all.size()) {
      if (pinged == 0) say("connected", shared.connected);
      for (size_t end = std::min(all.size(), pinged + 64); pinged < end; ++pinged) all[pinged]->ping();
      if (shared.answered == all.size() && !told) say("answered", shared.answered), told = true;
    }
    pace.start_in(std::chrono::milliseconds(1));
  });
  pace.start_in(Duration::zero());
  (*loop)->run();
  all.clear();
  return 0;
}

}  // namespace smartvpn::testing
