// `smartvpn stats` and `reload`: a running server as a whole.
#include <cstdio>

#include "c_api.hpp"
#include "commands.hpp"
#include "table.hpp"

namespace smartvpn::cli {
namespace {

// What stands beside a change's path, for people.
std::string outcome(const std::string& result) {
  if (result == "needs_listener_restart") return "needs a restart of its listener";
  if (result == "needs_server_restart") return "needs a restart of the server";
  return result;
}

}  // namespace

int run_stats(const StatsOptions& options) {
  ControlClient server(options.control.socket);
  if (options.prometheus) {
    auto text = server.call("stats.get", {{"format", "prometheus"}}).get<std::string>();
    std::fputs(text.c_str(), stdout);
    return kExitOk;
  }
  Json stats =
      options.client.empty() ? server.call("stats.get") : server.call("clients.stats", {{"id", options.client}});
  std::string text = options.control.json ? stats.dump() + "\n" : tree_text(stats);
  std::fputs(text.c_str(), stdout);
  return kExitOk;
}

int run_reload(const ReloadOptions& options) {
  ControlClient server(options.control.socket);
  Json answer = server.call("server.reload", {{"dry_run", options.dry_run}});
  if (options.control.json) {
    std::printf("%s\n", answer.dump().c_str());
    return kExitOk;
  }
  for (const auto& change : answer.at("changes")) {
    std::string path = printable(change.at("path").get<std::string>());
    std::printf("%s: %s\n", path.c_str(), outcome(change.at("result").get<std::string>()).c_str());
  }
  if (answer.at("changes").empty()) std::puts("nothing has changed");
  return kExitOk;
}

}  // namespace smartvpn::cli
