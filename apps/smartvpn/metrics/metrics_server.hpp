// `smartvpn serve --metrics`: GET /metrics over HTTP/1.1, for Prometheus. One request a connection.
#pragma once

#include <functional>
#include <string>

#include "c_api.hpp"
#include "peer_server.hpp"

namespace smartvpn::cli {

// A listening TCP socket for "ADDR:PORT", "[ADDR]:PORT", or "PORT" of 127.0.0.1. Throws Failure: exit
// code 2 for what is no address, 1 for what the system refuses.
UniqueFd listen_for_metrics(const std::string& address);
// Where it listens, with the port the kernel gave for port 0: "127.0.0.1:40123".
std::string bound_address(int fd);

class MetricsServer final : public PeerServer {
 public:
  // Gives a snapshot of whoever is asked about, or throws Failure.
  using Snapshot = std::function<Stats()>;
  MetricsServer(UniqueFd listening, Snapshot snapshot);

 private:
  bool take_request(Peer& peer, bool full, bool ended) override;
  bool admit(int) override { return true; }
  std::string page() const;

  Snapshot snapshot_;
};

}  // namespace smartvpn::cli
