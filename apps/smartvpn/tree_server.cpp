// The part of the tree that asks a running server about itself.
#include "command_tree.hpp"
#include "commands.hpp"

namespace smartvpn::cli {

void add_server_commands(CommandTree& tree) {
  auto sessions = std::make_shared<SessionsOptions>();
  auto* command = tree.app().add_subcommand("sessions", "Who is connected to a running server");
  add_control_options(*command, sessions->control);
  command->add_flag("-w,--watch", sessions->watch, "Again every second, with what passes; ends with q or SIGINT");
  tree.on(command, sessions, run_sessions);

  auto disconnect = std::make_shared<DisconnectOptions>();
  command = tree.app().add_subcommand("disconnect", "End a session, or all of a client; it may come back");
  add_control_options(*command, disconnect->control);
  auto* id = command->add_option("session", disconnect->session, "A session's id")->type_name("SESSION");
  command->add_option("--client", disconnect->client, "A client's id: all its sessions")->type_name("ID")->excludes(id);
  tree.on(command, disconnect, run_disconnect);

  auto stats = std::make_shared<StatsOptions>();
  command = tree.app().add_subcommand("stats", "What a running server has counted");
  add_control_options(*command, stats->control);
  auto* client = command->add_option("--client", stats->client, "Of one client")->type_name("ID");
  command->add_flag("--prometheus", stats->prometheus, "In the Prometheus text format")
      ->excludes(client)
      ->excludes(command->get_option("--json"));
  tree.on(command, stats, run_stats);

  auto reload = std::make_shared<ReloadOptions>();
  command = tree.app().add_subcommand("reload", "Have a running server read its configuration and certificates again");
  add_control_options(*command, reload->control);
  command->add_flag("--dry-run", reload->dry_run, "Say what would happen, and change nothing");
  tree.on(command, reload, run_reload);
}

}  // namespace smartvpn::cli
