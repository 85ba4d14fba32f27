// Very many clients on one loop in one process: what loads the servers of tests/bench and tests/siege.
#pragma once

#include <cstddef>
#include <string>

#include "crypto/x25519.hpp"

namespace smartvpn::testing {

// The key of a client by its number: server and swarm make the same ones.
crypto::KeyPair swarm_key(std::size_t index);

struct SwarmOrder {
  int port = 0;  // on 127.0.0.1
  std::string server_key;
  std::size_t clients = 0;
  bool tls = false;
  bool churn = false;             // each leaves when it is connected and comes again; else all stay
  bool ping = false;              // of those that stay, each pings the gateway once when all are there
  std::size_t a_millisecond = 4;  // so many begin; more make a backlog at the server, and measure that
};

// Until standard input closes. With `ping` says `connected N` and `answered N` on standard output when all are. The
// exit code.
int run_swarm(const SwarmOrder& order);

}  // namespace smartvpn::testing
