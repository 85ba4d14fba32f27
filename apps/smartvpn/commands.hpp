// The commands, one function each. They return the exit code or throw Failure.
#pragma once

#include <string>

namespace smartvpn::cli {

struct KeygenOptions {
  bool json = false;
};
int run_keygen(const KeygenOptions& options);
// Reads a private key on standard input.
int run_pubkey();

enum class Kind { detect, server, tunnel };

struct CheckOptions {
  std::string config;
  Kind kind = Kind::detect;
};
int run_check(const CheckOptions& options);

struct ServeOptions {
  std::string config;
  bool events = false;  // JSON lines on standard output instead of text on standard error
  int drain_seconds = 2;
};
int run_serve(const ServeOptions& options);

struct ConnectOptions {
  std::string config;
  std::string tun;     // "": as configured
  std::string routes;  // "": as configured; "from-server" or "none"
  bool dns = false;    // the server's name servers become this machine's while the tunnel is there
  bool events = false;
};
int run_connect(const ConnectOptions& options);

}  // namespace smartvpn::cli
