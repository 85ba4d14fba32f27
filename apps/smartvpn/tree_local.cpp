// The part of the tree that needs no server: keys, checks, what is printed of the tree itself.
#include <cstdio>

#include "c_api.hpp"
#include "command_tree.hpp"
#include "commands.hpp"

namespace smartvpn::cli {
namespace {

struct Nothing {};

void add_keys(CommandTree& tree) {
  auto keygen = std::make_shared<KeygenOptions>();
  auto* keygen_command = tree.app().add_subcommand("keygen", "Make a new key pair and print it");
  keygen_command->add_flag("--json", keygen->json, "Print one JSON object");
  tree.on(keygen_command, keygen, run_keygen);
  auto* pubkey = tree.app().add_subcommand("pubkey", "Read a private key on standard input, print its public key");
  tree.on(pubkey, std::make_shared<Nothing>(), [](const Nothing&) { return run_pubkey(); });
}

void add_check(CommandTree& tree) {
  auto options = std::make_shared<CheckOptions>();
  auto* command = tree.app().add_subcommand("check", "Check a configuration without running it");
  add_config_option(*command, options->config);
  auto kind = [options](Kind chosen) { return [options, chosen](int64_t) { options->kind = chosen; }; };
  auto* tunnel = command->add_flag_function("--tunnel", kind(Kind::tunnel), "It is a tunnel's; else told by its keys");
  auto* relay = command->add_flag_function("--relay", kind(Kind::relay), "It is a relay's; else told by its keys");
  command->add_flag_function("--server", kind(Kind::server), "It is a server's; else told by its keys")
      ->excludes(tunnel)
      ->excludes(relay->excludes(tunnel));
  tree.on(command, options, run_check);
}

void add_texts(CommandTree& tree) {
  auto shell = std::make_shared<std::string>();
  auto* completion = tree.app().add_subcommand("completion", "Print the completion of this command for a shell");
  completion->add_option("shell", *shell, "The shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("bash|zsh|fish");
  completion->footer("For bash: smartvpn completion bash > /etc/bash_completion.d/smartvpn");
  tree.on(completion, shell, [&tree](const std::string& name) { return run_completion(tree.app(), name); });
  // For the build alone, so no list shows it.
  auto* manual = tree.app().add_subcommand("manual", "Print the manual page, smartvpn(1)")->group("");
  tree.on(manual, std::make_shared<Nothing>(), [&tree](const Nothing&) { return run_manual(tree.app()); });
  auto* version = tree.app().add_subcommand("version", "Print the version");
  tree.on(version, std::make_shared<Nothing>(), [](const Nothing&) {
    std::printf("smartvpn %s\n", smartvpn_version());
    return kExitOk;
  });
}

}  // namespace

void add_local_commands(CommandTree& tree) {
  add_keys(tree);
  add_check(tree);
  add_texts(tree);
}

}  // namespace smartvpn::cli
