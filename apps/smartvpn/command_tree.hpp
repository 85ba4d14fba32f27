// The tree of commands: CLI11 reads the arguments with it, and completions and the manual page are
// printed from it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace smartvpn::cli {

class CommandTree {
 public:
  CommandTree();
  CommandTree(const CommandTree&) = delete;
  CommandTree& operator=(const CommandTree&) = delete;

  CLI::App& app() noexcept { return app_; }
  // The command that does `run` when it is what was asked for, with options that live as long as the tree.
  template <class Options, class Fn>
  void on(CLI::App* command, std::shared_ptr<Options> options, Fn run) {
    actions_.emplace_back(command, [options, run] { return run(*options); });
  }
  // After app().parse(): runs what was asked for.
  int run() const;

 private:
  CLI::App app_;
  std::vector<std::pair<CLI::App*, std::function<int()>>> actions_;
};

// The families, each in its file.
void add_local_commands(CommandTree& tree);    // keygen, pubkey, check, version, completion
void add_running_commands(CommandTree& tree);  // serve, connect, relay
void add_client_commands(CommandTree& tree);   // clients ...
void add_server_commands(CommandTree& tree);   // sessions, stats, disconnect, reload

// Options that several have.
void add_config_option(CLI::App& command, std::string& target);
void add_control_options(CLI::App& command, struct ControlOptions& options);

inline constexpr const char* kFilesNote =
    "Configurations are JSON files; docs/CONFIGURATION.md lists every key. Relative paths of\n"
    "certificates and keys in them are relative to the working directory.\n\n"
    "Exit status: 0 ok, 1 failure at run time, 2 wrong usage or a configuration that is refused.";

}  // namespace smartvpn::cli
