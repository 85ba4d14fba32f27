// The smartvpn command: arguments in, exit code out. 0 ok, 1 a failure at run time, 2 wrong usage or
// a configuration that is refused. Errors are one line, "smartvpn: <path>: <text>".
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>

#include "c_api.hpp"
#include "commands.hpp"

namespace smartvpn::cli {
namespace {

constexpr const char* kFilesNote =
    "Configurations are JSON files; docs/CONFIGURATION.md lists every key. Relative paths of\n"
    "certificates and keys in them are relative to the working directory.\n\n"
    "Exit status: 0 ok, 1 failure at run time, 2 wrong usage or a configuration that is refused.";
constexpr const char* kSignalsNote = "SIGINT and SIGTERM tell the other side and stop; a second one stops at once.";

// Descriptors 0 to 2 exist from here on: nothing that is opened later can be taken for them.
bool fill_standard_descriptors() {
  for (;;) {
    int fd = ::open("/dev/null", O_RDWR);
    if (fd < 0) return false;
    if (fd <= 2) continue;
    ::close(fd);
    return true;
  }
}

void add_config(CLI::App& command, std::string& target) {
  command.add_option("-c,--config", target, "Configuration file (JSON)")->required()->type_name("FILE");
}

int run(int argc, char** argv) {
  CLI::App app{"smartvpn: a VPN server and its dialling end"};
  app.footer(kFilesNote);
  app.require_subcommand(1);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return "smartvpn: " + std::string(error.what()) + "\nRun with --help for more information.\n";
  });

  KeygenOptions keygen;
  auto* keygen_command = app.add_subcommand("keygen", "Make a new key pair and print it");
  keygen_command->add_flag("--json", keygen.json, "Print one JSON object");
  auto* pubkey_command = app.add_subcommand("pubkey", "Read a private key on standard input, print its public key");

  CheckOptions check;
  bool as_tunnel = false, as_server = false;
  auto* check_command = app.add_subcommand("check", "Check a configuration without running it");
  add_config(*check_command, check.config);
  auto* tunnel_flag = check_command->add_flag("--tunnel", as_tunnel, "It is a tunnel's; else told by its keys");
  check_command->add_flag("--server", as_server, "It is a server's; else told by its keys")->excludes(tunnel_flag);

  ServeOptions serve;
  auto* serve_command = app.add_subcommand("serve", "Run a server");
  add_config(*serve_command, serve.config);
  serve_command->add_flag("--events", serve.events, "Print events as JSON lines on standard output");
  serve_command->add_option("--drain", serve.drain_seconds, "Seconds clients get to leave when it stops")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
  serve_command->footer(std::string(kSignalsNote) + "\nSIGHUP reads the certificates again.\n\n" + kFilesNote);

  ConnectOptions connect;
  auto* connect_command =
      app.add_subcommand("connect", "Connect to a server, and again whenever the connection is lost");
  add_config(*connect_command, connect.config);
  connect_command->add_option("--tun", connect.tun, "Name of the tun device, before the configuration's")
      ->type_name("NAME");
  connect_command->add_option("--routes", connect.routes, "Which routes lead into the tunnel, before the configuration's")
      ->check(CLI::IsMember({"from-server", "none"}))
      ->type_name("from-server|none");
  connect_command->add_flag("--dns", connect.dns, "Use the server's name servers on this machine while connected");
  connect_command->add_flag("--events", connect.events, "Print events as JSON lines on standard output");
  connect_command->footer(std::string(kSignalsNote) + "\n\n" + kFilesNote);

  auto* version_command = app.add_subcommand("version", "Print the version");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (as_tunnel) check.kind = Kind::tunnel;
  if (as_server) check.kind = Kind::server;

  if (keygen_command->parsed()) return run_keygen(keygen);
  if (pubkey_command->parsed()) return run_pubkey();
  if (check_command->parsed()) return run_check(check);
  if (serve_command->parsed()) return run_serve(serve);
  if (connect_command->parsed()) return run_connect(connect);
  if (version_command->parsed()) std::printf("smartvpn %s\n", smartvpn_version());
  return kExitOk;
}

}  // namespace
}  // namespace smartvpn::cli

namespace smartvpn::cli {

void print_failure(const Failure& failure) {
  std::string line = "smartvpn: ";
  if (!failure.path.empty()) line += failure.path + ": ";
  line += failure.text + "\n";
  std::fputs(line.c_str(), stderr);
}

}  // namespace smartvpn::cli

int main(int argc, char** argv) {
  using namespace smartvpn::cli;
  if (!fill_standard_descriptors()) return kExitRuntime;
  std::signal(SIGPIPE, SIG_IGN);  // a reader that went away is an error of write(), not our end
  int code = kExitRuntime;
  try {
    code = run(argc, argv);
  } catch (const Failure& failure) {
    print_failure(failure);
    return failure.exit_code;
  } catch (const std::exception& error) {
    print_failure({kExitRuntime, "", error.what()});
    return kExitRuntime;
  }
  if (std::fflush(stdout) != 0 && code == kExitOk) {
    print_failure({kExitRuntime, "", "standard output could not be written"});
    return kExitRuntime;
  }
  return code;
}
