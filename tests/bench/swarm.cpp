// Many clients on one loop in one process: what loads the server of server_bench.cpp.
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "bench/figures.hpp"
#include "bench/swarm_keys.hpp"
#include "tunnel/client_connection_link.hpp"

namespace smartvpn::bench {
namespace {

struct Shared {
  net::Loop& loop;
  PacketPool& pool;
  crypto::AeadEngine& aead;
  config::TunnelConfig config;
  PublicKey server_key{};
  std::shared_ptr<const net::TlsContext> tls;
  bool churn = false;
};

class Client final : private tunnel::ClientConnection::Owner {
 public:
  Client(Shared& shared, size_t index)
      : shared_(shared), key_(std::make_shared<const crypto::KeyPair>(swarm_key(index))) {}
  // Begins, or begins again once the last connection has said all it had to say.
  void step() {
    if (connection_ && !(ended_ && connection_->finished())) return;
    ended_ = false;
    tunnel::ClientConnection::Parts parts{shared_.loop, shared_.aead,       shared_.pool, system_rng(), shared_.config,
                                          key_,         shared_.server_key, shared_.tls,  nullptr,      {}};
    tunnel::ClientConnection::Owner& self = *this;
    connection_ = std::make_unique<tunnel::ClientConnection>(parts, self, std::vector<inet::IpAddress>());
    connection_->begin();
  }

 private:
  void on_dialling(const std::vector<inet::Endpoint>&) override {}
  void on_connected(const session::SessionParameters&) override {
    if (shared_.churn) connection_->close(Reason::disconnected);
  }
  void on_reconfigured(const session::SessionParameters&) override {}
  void on_packets(std::span<const PacketView>) override {}
  void on_drop(Drop, uint64_t) override {}
  void on_rtt(Duration) override {}
  void on_silence(bool) override {}
  void on_ended(const tunnel::Ending&) noexcept override { ended_ = true; }

  Shared& shared_;
  std::shared_ptr<const crypto::KeyPair> key_;
  std::unique_ptr<tunnel::ClientConnection> connection_;
  bool ended_ = false;
};

bool stdin_closed() {
  pollfd ready{STDIN_FILENO, POLLIN, 0};
  return poll(&ready, 1, 0) > 0;
}

}  // namespace

int run_swarm(const SwarmOrder& order) {
  auto loop = net::Loop::create();
  if (!loop) return 1;
  PacketPool pool;
  crypto::AeadEngine aead;
  Shared shared{**loop, pool, aead, {}, {}, nullptr, order.churn};
  auto url = config::ServerUrl::parse((order.tls ? "wss://127.0.0.1:" : "ws://127.0.0.1:") +
                                      std::to_string(order.port) + "/tunnel");
  auto server_key = parse_public_key(order.server_key);
  if (!url || !server_key) return 1;
  shared.config.server = *url;
  shared.server_key = *server_key;
  if (order.tls) {
    net::TlsClientOptions options;
    options.any_certificate = true;
    auto tls = net::TlsContext::client(options);
    if (!tls) return 1;
    shared.tls = *tls;
  }
  std::vector<std::unique_ptr<Client>> all;
  for (size_t i = 0; i < order.clients; ++i) all.push_back(std::make_unique<Client>(shared, i));
  size_t begun = 0;
  net::Timer pace(**loop, [&] {
    if (stdin_closed()) return (*loop)->stop();
    // A few new ones each millisecond, so that the server's backlog is not what is measured.
    begun = std::min(all.size(), begun + 4);
    for (size_t i = order.churn ? 0 : begun - std::min<size_t>(begun, 4); i < begun; ++i) all[i]->step();
    pace.start_in(std::chrono::milliseconds(1));
  });
  pace.start_in(Duration::zero());
  (*loop)->run();
  all.clear();
  return 0;
}

}  // namespace smartvpn::bench
