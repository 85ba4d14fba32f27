// The part of the tree that runs something: serve, connect.
#include "command_tree.hpp"
#include "commands.hpp"

namespace smartvpn::cli {
namespace {

constexpr const char* kSignalsNote = "SIGINT and SIGTERM tell the other side and stop; a second one stops at once.";
constexpr const char* kHangupNote =
    "SIGHUP reads the configuration and the certificates again, as `smartvpn reload` does.\n"
    "Sockets of a service manager (LISTEN_FDS) take the place of their listeners' addresses.";

void add_serve(CommandTree& tree) {
  auto options = std::make_shared<ServeOptions>();
  auto* command = tree.app().add_subcommand("serve", "Run a server");
  add_config_option(*command, options->config);
  command->add_flag("--events", options->events, "Print events as JSON lines on standard output");
  command->add_option("--drain", options->drain_seconds, "Seconds clients get to leave when it stops")
      ->check(CLI::Range(0, 3600))
      ->type_name("SECONDS")
      ->capture_default_str();
  // Alone it means the default, which the other commands ask at.
  command
      ->add_option_function<std::vector<std::string>>(
          "--control",
          [options](const std::vector<std::string>& path) {
            bool bare = path.empty() || path.front().empty();
            options->control = bare ? kDefaultControlSocket : path.front();
          },
          std::string("Be controlled through a Unix socket; without a path ") + kDefaultControlSocket)
      ->expected(0, 1)
      ->type_name("SOCKET");
  command->add_option("--metrics", options->metrics, "Serve GET /metrics for Prometheus; on 127.0.0.1 unless told")
      ->type_name("[ADDRESS:]PORT");
  command->footer(std::string(kSignalsNote) + "\n" + kHangupNote + "\n\n" + kFilesNote);
  tree.on(command, options, run_serve);
}

void add_connect(CommandTree& tree) {
  auto options = std::make_shared<ConnectOptions>();
  auto* command =
      tree.app().add_subcommand("connect", "Connect to a server, and again whenever the connection is lost");
  add_config_option(*command, options->config);
  command->add_option("--tun", options->tun, "Name of the tun device, before the configuration's")->type_name("NAME");
  command->add_option("--routes", options->routes, "Which routes lead into the tunnel, before the configuration's")
      ->check(CLI::IsMember({"from-server", "none"}))
      ->type_name("from-server|none");
  command->add_flag("--dns", options->dns, "Use the server's name servers on this machine while connected");
  command->add_flag("--events", options->events, "Print events as JSON lines on standard output");
  command->footer(std::string(kSignalsNote) + "\n\n" + kFilesNote);
  tree.on(command, options, run_connect);
}

void add_relay(CommandTree& tree) {
  auto options = std::make_shared<RelayOptions>();
  auto* command = tree.app().add_subcommand("relay", "Run a layer-4 relay that hands clients' real addresses on");
  add_config_option(*command, options->config);
  command->add_option("--metrics", options->metrics, "Serve GET /metrics for Prometheus; on 127.0.0.1 unless told")
      ->type_name("[ADDRESS:]PORT");
  command->add_option("--drain", options->drain_seconds, "How long connections may go on after SIGTERM")
      ->check(CLI::Range(0, 3600))
      ->type_name("SECONDS")
      ->capture_default_str();
  command->add_flag("--events", options->events, "Print events as JSON lines on standard output");
  command->footer(std::string(kSignalsNote) + "\n\n" + kFilesNote);
  tree.on(command, options, run_relay);
}

}  // namespace

void add_running_commands(CommandTree& tree) {
  add_serve(tree);
  add_connect(tree);
  add_relay(tree);
}

}  // namespace smartvpn::cli
