// Many clients on one loop in one process: what loads the server of server_bench.cpp.
#include <poll.h>
#include <unistd.h>

#include "bench/bench.hpp"
#include "bench/swarm_keys.hpp"
#include "tunnel/client_connection_link.hpp"

namespace smartvpn::bench {
namespace {

struct Shared {
  net::Loop& loop;
  PacketPool& pool;
  crypto::AeadEngine& aead;
  bool stay;
};

class Client final : private tunnel::ClientConnection::Owner {
 public:
  Client(Shared& shared, int port, const std::string& server_key, size_t index) : shared_(shared) {
    key_ = std::make_shared<const crypto::KeyPair>(swarm_key(index));
    config_.server = *config::ServerUrl::parse("ws://127.0.0.1:" + std::to_string(port) + "/tunnel");
    config_.keys.server_public_key = *parse_public_key(server_key);
  }
  // Begins, or begins again once the last connection has said all it had to say.
  void step() {
    if (connection_ && !(ended_ && connection_->finished())) return;
    ended_ = false;
    tunnel::ClientConnection::Parts parts{shared_.loop, shared_.aead, shared_.pool, system_rng(),
                                          config_,      key_,         nullptr,      nullptr};
    tunnel::ClientConnection::Owner& self = *this;
    connection_ = std::make_unique<tunnel::ClientConnection>(parts, self, std::vector<inet::IpAddress>());
    connection_->begin();
  }

 private:
  void on_connected(const session::SessionParameters&) override {
    if (!shared_.stay) connection_->close(Reason::disconnected);
  }
  void on_reconfigured(const session::SessionParameters&) override {}
  void on_packets(std::span<const PacketView>) override {}
  void on_drop(Drop, uint64_t) override {}
  void on_rtt(Duration) override {}
  void on_silence(bool) override {}
  void on_ended(const tunnel::Ending&) override { ended_ = true; }

  Shared& shared_;
  config::TunnelConfig config_;
  std::shared_ptr<const crypto::KeyPair> key_;
  std::unique_ptr<tunnel::ClientConnection> connection_;
  bool ended_ = false;
};

bool stdin_closed() {
  pollfd ready{STDIN_FILENO, POLLIN, 0};
  return poll(&ready, 1, 0) > 0;
}

}  // namespace

int run_swarm(int port, const std::string& server_key, size_t clients, int seconds) {
  auto loop = net::Loop::create();
  if (!loop) return 1;
  PacketPool pool;
  crypto::AeadEngine aead;
  Shared shared{**loop, pool, aead, seconds <= 0};
  std::vector<std::unique_ptr<Client>> all;
  for (size_t i = 0; i < clients; ++i) all.push_back(std::make_unique<Client>(shared, port, server_key, i));
  const auto begin = Clock::now();
  size_t begun = 0;
  net::Timer pace(**loop, [&] {
    if (stdin_closed() || (seconds > 0 && seconds_since(begin) > seconds)) return (*loop)->stop();
    // A few new ones each millisecond, so that the server's backlog is not what is measured.
    begun = std::min(all.size(), begun + 16);
    for (size_t i = 0; i < begun; ++i) all[i]->step();
    pace.start_in(std::chrono::milliseconds(1));
  });
  pace.start_in(Duration::zero());
  (*loop)->run();
  all.clear();
  return 0;
}

}  // namespace smartvpn::bench
