// See command_tree.hpp.
#include "command_tree.hpp"

#include "c_api.hpp"
#include "commands.hpp"

namespace smartvpn::cli {

CommandTree::CommandTree() : app_("smartvpn: a VPN server, its dialling end, and a relay", "smartvpn") {
  app_.footer(kFilesNote);
  app_.set_version_flag("--version", "smartvpn " + std::string(smartvpn_version()), "Print the version");
  app_.require_subcommand(1);
  app_.failure_message([](const CLI::App*, const CLI::Error& error) {
    return "smartvpn: " + std::string(error.what()) + "\nRun with --help for more information.\n";
  });
  add_running_commands(*this);
  add_client_commands(*this);
  add_server_commands(*this);
  add_local_commands(*this);
}

int CommandTree::run() const {
  for (const auto& [command, action] : actions_)
    if (command->parsed()) return action();
  return kExitUsage;
}

void add_config_option(CLI::App& command, std::string& target) {
  command.add_option("-c,--config", target, "Configuration file (JSON); - is standard input")
      ->required()
      ->type_name("FILE");
}

void add_control_options(CLI::App& command, ControlOptions& options) {
  command.add_option("--control", options.socket, "The running server's control socket")
      ->type_name("SOCKET")
      ->capture_default_str();
  command.add_flag("--json", options.json, "Print JSON in place of text");
}

}  // namespace smartvpn::cli
