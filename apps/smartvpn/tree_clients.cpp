// The part of the tree that works on the registry: clients ...
#include "client_settings.hpp"
#include "command_tree.hpp"
#include "commands.hpp"

namespace smartvpn::cli {
namespace {

using Run = int (*)(const ClientsOptions&);

constexpr const char* kOnceNote =
    "Private keys are told this once, unless the server keeps them (registry.keep_private_keys).\n"
    "Without --out the configuration goes to standard output. Files are made with mode 0600.";

struct Command {
  CLI::App* app;
  std::shared_ptr<ClientsOptions> options;
};

Command add(CommandTree& tree, CLI::App* clients, const char* name, const char* help, Run run) {
  Command command{clients->add_subcommand(name, help), std::make_shared<ClientsOptions>()};
  add_control_options(*command.app, command.options->control);
  tree.on(command.app, command.options, run);
  return command;
}

void take_id(const Command& command, bool several = false) {
  command.app->add_option("id", command.options->ids, several ? "The clients" : "The client")
      ->required()
      ->expected(1, several ? 1 << 20 : 1)
      ->type_name("ID");
}

void add_outputs(const Command& command) {
  OutputOptions& output = command.options->output;
  auto file = [&](const char* name, std::string& target, const char* help) {
    command.app->add_option(name, target, help)->type_name("FILE")->group("Output");
  };
  file("-o,--out", output.out, "Save the configuration there");
  file("--png", output.png, "Save it as a QR code, as a picture");
  file("--svg", output.svg, "Save it as a QR code, as a drawing");
  command.app->add_flag("--force", output.force, "Replace files that exist")->group("Output");
  command.app->add_flag("--wireguard", output.wireguard, "The configuration for WireGuard")->group("Output");
  auto* qr = command.app->add_flag("--qr", output.qr, "Print it as a QR code for a phone's camera")->group("Output");
  qr->excludes(command.app->get_option("--json"));
}

void add_list(CommandTree& tree, CLI::App* clients) {
  Command list = add(tree, clients, "list", "All clients, or those that match", run_clients_list);
  Json& query = list.options->query;
  auto text = [&](const char* name, const char* key, const char* value, const char* help) {
    list.app
        ->add_option_function<std::string>(
            name, [&query, key](const std::string& given) { query[key] = given; }, help)
        ->type_name(value);
  };
  text("--prefix", "id_prefix", "TEXT", "Whose id begins like this");
  text("--tag", "tag", "TAG", "With this tag");
  text("--text", "text", "TEXT", "With this in id, description or tags");
  auto flag = [&](const char* name, const char* key, bool value, const char* help) {
    return list.app->add_flag_function(
        name, [&query, key, value](int64_t) { query[key] = value; }, help);
  };
  auto* enabled = flag("--enabled", "enabled", true, "That may connect");
  flag("--disabled", "enabled", false, "That may not")->excludes(enabled);
  auto* online = flag("--online", "online", true, "That are connected");
  flag("--offline", "online", false, "That are not")->excludes(online);
}

void add_changes(CommandTree& tree, CLI::App* clients) {
  Command added = add(tree, clients, "add", "Register a client and print its configuration", run_clients_add);
  take_id(added);
  Json& settings = added.options->settings;
  added.app
      ->add_flag_function(
          "--disabled", [&settings](int64_t) { settings["enabled"] = false; }, "It may not connect yet")
      ->group("Settings of the client");
  add_client_settings(*added.app, *added.options);
  add_outputs(added);
  added.app->footer(kOnceNote);

  Command updated = add(tree, clients, "update", "Change a client; live sessions follow at once", run_clients_update);
  take_id(updated);
  add_client_settings(*updated.app, *updated.options);
  updated.app->add_option("--unset", updated.options->unset, "Give a key its default back, such as security.rate_limit")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("KEY");
  updated.app->add_option("--revision", updated.options->revision, "Only if this is its revision")->type_name("N");
  updated.app->footer("Lists are replaced whole.");

  take_id(add(tree, clients, "enable", "Let clients connect again", run_clients_enable), true);
  take_id(add(tree, clients, "disable", "End the sessions of clients and refuse new ones", run_clients_disable), true);
  take_id(add(tree, clients, "remove", "Remove clients for good; their sessions end", run_clients_remove), true);
}

void add_rotate(CommandTree& tree, CLI::App* clients) {
  Command rotate = add(tree, clients, "rotate", "Give a client new keys", run_clients_rotate);
  take_id(rotate);
  Json& rotation = rotate.options->rotation;
  rotate.app
      ->add_option_function<uint64_t>(
          "--overlap", [&rotation](uint64_t seconds) { rotation["overlap_seconds"] = seconds; },
          "How long the old keys are taken too; one day unless told")
      ->type_name("SECONDS");
  for (const char* name : {"public-key", "wireguard-public-key"}) {
    std::string key = name == std::string("public-key") ? "noise_public_key" : "wireguard_public_key";
    rotate.app
        ->add_option_function<std::string>(
            std::string("--") + name, [&rotation, key](const std::string& text) { rotation[key] = text; },
            "Its own new public key; else a pair is made")
        ->type_name("KEY");
  }
  auto* commit = rotate.app->add_flag("--commit", rotate.options->commit, "End the overlap: the new keys only");
  rotate.app->add_flag("--roll-back", rotate.options->roll_back, "End the overlap: the old keys only")
      ->excludes(commit);
  add_outputs(rotate);
  rotate.app->footer(kOnceNote);
}

}  // namespace

void add_client_commands(CommandTree& tree) {
  auto* clients = tree.app().add_subcommand("clients", "The clients that a running server knows");
  clients->require_subcommand(1);
  add_list(tree, clients);
  take_id(add(tree, clients, "show", "Everything about a client", run_clients_show));
  add_changes(tree, clients);
  add_rotate(tree, clients);
  Command exported = add(tree, clients, "export", "A client's configuration once more", run_clients_export);
  take_id(exported);
  add_outputs(exported);
  exported.app->footer(
      "Where the server does not keep private keys, the configuration has an empty one, and the exit status is 1.");
}

}  // namespace smartvpn::cli
