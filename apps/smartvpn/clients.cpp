// `smartvpn clients ...`: the registry of a running server.
#include <cstdio>
#include <map>

#include "c_api.hpp"
#include "client_settings.hpp"
#include "commands.hpp"
#include "table.hpp"

namespace smartvpn::cli {
namespace {

void print_line(const Json& json) { std::printf("%s\n", SecretText(json.dump()).text().c_str()); }

std::string joined(const Json& list) {
  std::string text;
  for (const auto& item : list) text += (text.empty() ? "" : " ") + (item.is_string() ? item.get<std::string>() : "");
  return text;
}

Json by_id(const std::string& id) { return {{"id", id}}; }

// A client without a WireGuard key has no such configuration, and nobody asked for another.
std::string config_of(const Json& made, const OutputOptions& options) {
  if (!options.wireguard) return made.at("config").dump(2);
  auto text = made.at("wireguard_config").get<std::string>();
  if (text.empty()) throw Failure{kExitUsage, "/keys/wireguard_private_key", "the server has no WireGuard key"};
  return text;
}

// What add and rotate have in common. Keys are told once: if they cannot be delivered, `undo` takes
// the change back.
int deliver(ControlClient& server, Json made, Outputs& outputs, const ClientsOptions& options, const char* done,
            const char* undo) {
  std::string id = made.at("client").at("id").get<std::string>();
  try {
    SecretText config(config_of(made, options.output));
    outputs.write(config.text(), options.control.json);
  } catch (const Failure&) {
    server.call(undo, by_id(id));
    throw;
  }
  if (options.control.json) {
    if (options.output.has_file()) made = Json{{"client", made.at("client")}, {"files", outputs.files()}};
    print_line(made);
    return kExitOk;
  }
  std::string line = id + " " + done;
  if (std::string addresses = joined(made.at("client").at("addresses")); !addresses.empty()) line += ": " + addresses;
  if (made.at("private_key").get<std::string>().empty()) line += "; its private key is for its owner to fill in";
  if (options.output.has_file()) line += "; configuration in " + outputs.files();
  std::fprintf(stderr, "%s\n", printable(line).c_str());
  return kExitOk;
}

int change_all(const ClientsOptions& options, const char* method, const char* done) {
  ControlClient server(options.control.socket);
  for (const auto& id : options.ids) {
    server.call(method, by_id(id));
    if (!options.control.json) std::printf("%s %s\n", printable(id).c_str(), done);
  }
  if (options.control.json) print_line(Json{{"clients", options.ids}, {"result", done}});
  return kExitOk;
}

std::map<std::string, int> sessions_by_client(ControlClient& server) {
  std::map<std::string, int> count;
  Json answer = server.call("sessions.list");
  for (const auto& session : answer.at("sessions")) ++count[session.at("client_id")];
  return count;
}

std::string state_of(const Json& client, int sessions) {
  if (!client.at("enabled").get<bool>()) return "disabled";
  if (sessions == 0) return "offline";
  return sessions == 1 ? "online" : std::to_string(sessions) + " sessions";
}

}  // namespace

int run_clients_add(const ClientsOptions& options) {
  Json client = collect_client_settings(options);
  client["id"] = options.ids.at(0);
  ControlClient server(options.control.socket);
  Outputs outputs(options.output);
  Json made = server.call("clients.add", {{"client", client}});
  return deliver(server, std::move(made), outputs, options, "was added", "clients.remove");
}

int run_clients_list(const ClientsOptions& options) {
  ControlClient server(options.control.socket);
  Json all = Json::array(), query = options.query, page;
  query["limit"] = 500;
  do {
    page = server.call("clients.list", query);
    for (auto& client : page.at("clients")) all.push_back(std::move(client));
    if (page.contains("next")) query["after"] = page["next"];
  } while (page.contains("next"));
  if (options.control.json) return print_line(all), kExitOk;
  auto sessions = sessions_by_client(server);
  Table table({{"CLIENT", false, 9},
               {"STATE", false, 8},
               {"ADDRESSES", false, 6},
               {"EXPIRES", false, 4},
               {"TAGS", false, 3},
               {"DESCRIPTION", false, 2}});
  for (const auto& client : all) {
    int64_t expires = client.value("expires_at", int64_t{0});
    table.add({client.at("id"), state_of(client, sessions[client.at("id")]), joined(client.at("addresses")),
               expires == 0 ? "" : human_time(expires), joined(client.at("tags")), client.value("description", "")});
  }
  std::fputs(table.text(terminal_width(STDOUT_FILENO)).c_str(), stdout);
  return kExitOk;
}

int run_clients_show(const ClientsOptions& options) {
  ControlClient server(options.control.socket);
  Json client = server.call("clients.get", by_id(options.ids.at(0)));
  Json stats = server.call("clients.stats", by_id(options.ids.at(0)));
  stats.erase("client_id");
  client["traffic"] = std::move(stats);
  if (options.control.json) return print_line(client), kExitOk;
  std::fputs(tree_text(client).c_str(), stdout);
  return kExitOk;
}

int run_clients_update(const ClientsOptions& options) {
  Json changes = collect_client_settings(options);
  for (const auto& key : options.unset) unset_client_setting(changes, key);
  if (changes.empty()) throw Failure{kExitUsage, "", "nothing is to be changed"};
  ControlClient server(options.control.socket);
  Json params = {{"id", options.ids.at(0)}, {"changes", changes}};
  if (options.revision != 0) params["expected_revision"] = options.revision;
  Json client = server.call("clients.update", params);
  if (options.control.json) return print_line(client), kExitOk;
  std::printf("%s was updated\n", printable(options.ids.at(0)).c_str());
  return kExitOk;
}

int run_clients_enable(const ClientsOptions& options) { return change_all(options, "clients.enable", "enabled"); }
int run_clients_disable(const ClientsOptions& options) { return change_all(options, "clients.disable", "disabled"); }
int run_clients_remove(const ClientsOptions& options) { return change_all(options, "clients.remove", "removed"); }

int run_clients_rotate(const ClientsOptions& options) {
  if (options.commit) return change_all(options, "clients.rotate_commit", "has its new keys only");
  if (options.roll_back) return change_all(options, "clients.rotate_roll_back", "is back at its old keys");
  ControlClient server(options.control.socket);
  Outputs outputs(options.output);
  Json made = server.call("clients.rotate", {{"id", options.ids.at(0)}, {"options", options.rotation}});
  return deliver(server, std::move(made), outputs, options, "has new keys", "clients.rotate_roll_back");
}

int run_clients_export(const ClientsOptions& options) {
  ControlClient server(options.control.socket);
  Outputs outputs(options.output);
  std::string format = options.output.wireguard ? "wireguard" : "native";
  Json exported = server.call("clients.export", {{"id", options.ids.at(0)}, {"format", format}});
  bool complete = exported.at("complete").get<bool>();
  Failure not_kept{kExitRuntime, options.ids.at(0), "the server does not keep private keys: its place is empty"};
  bool codes = options.output.qr || !options.output.png.empty() || !options.output.svg.empty();
  if (!complete && codes) throw not_kept;  // nobody can fill in a picture
  SecretText text(exported.at("text").get<std::string>());
  outputs.write(text.text(), options.control.json);
  if (options.control.json && options.output.has_file())
    exported = Json{{"complete", complete}, {"files", outputs.files()}};
  if (options.control.json) print_line(exported);
  if (!complete) throw not_kept;
  return kExitOk;
}

}  // namespace smartvpn::cli
