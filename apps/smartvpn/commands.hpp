// The commands, one function each. They return the exit code or throw Failure.
#pragma once

#include <string>
#include <vector>

#include "control/control_client.hpp"
#include "control/control_socket.hpp"
#include "outputs.hpp"

namespace CLI {
class App;
}

namespace smartvpn::cli {

struct KeygenOptions {
  bool json = false;
};
int run_keygen(const KeygenOptions& options);
// Reads a private key on standard input.
int run_pubkey();

enum class Kind { detect, server, tunnel, relay };

struct CheckOptions {
  std::string config;
  Kind kind = Kind::detect;
};
int run_check(const CheckOptions& options);

struct ServeOptions {
  std::string config;
  std::string control;  // path of the control socket; "": none
  std::string metrics;  // "ADDR:PORT"; "": none
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

struct RelayOptions {
  std::string config;
  std::string metrics;  // "ADDR:PORT"; "": none
  bool events = false;
  int drain_seconds = 2;
};
int run_relay(const RelayOptions& options);

// What every command to a running server has.
struct ControlOptions {
  std::string socket = kDefaultControlSocket;
  bool json = false;
};

struct ClientsOptions {
  ControlOptions control;
  std::vector<std::string> ids;
  Json settings = Json::object();  // of the client, by the options
  std::string from;                // a JSON file with more of them; "-": standard input
  std::string preshared_key_file;
  std::vector<std::string> unset;  // keys that get their defaults back: "security.rate_limit"
  uint64_t revision = 0;           // the one expected; 0: any
  OutputOptions output;
  Json query = Json::object();     // of list
  Json rotation = Json::object();  // options of rotate
  bool commit = false, roll_back = false;
};
int run_clients_add(const ClientsOptions& options);
int run_clients_list(const ClientsOptions& options);
int run_clients_show(const ClientsOptions& options);
int run_clients_update(const ClientsOptions& options);
int run_clients_enable(const ClientsOptions& options);
int run_clients_disable(const ClientsOptions& options);
int run_clients_remove(const ClientsOptions& options);
int run_clients_rotate(const ClientsOptions& options);
int run_clients_export(const ClientsOptions& options);

struct SessionsOptions {
  ControlOptions control;
  bool watch = false;
};
int run_sessions(const SessionsOptions& options);

struct StatsOptions {
  ControlOptions control;
  bool prometheus = false;
  std::string client;  // "": the server's
};
int run_stats(const StatsOptions& options);

struct DisconnectOptions {
  ControlOptions control;
  uint64_t session = 0;  // 0: by client
  std::string client;
};
int run_disconnect(const DisconnectOptions& options);

struct ReloadOptions {
  ControlOptions control;
  bool dry_run = false;
};
int run_reload(const ReloadOptions& options);

// Printed from the tree of commands itself.
int run_completion(const CLI::App& app, const std::string& shell);
int run_manual(const CLI::App& app);

}  // namespace smartvpn::cli
