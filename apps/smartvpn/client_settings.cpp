// See client_settings.hpp. The server judges the values: here they only get their place and type.
#include "client_settings.hpp"

#include "c_api.hpp"
#include "config_file.hpp"

namespace smartvpn::cli {
namespace {

using Pointer = Json::json_pointer;

struct Setting {
  enum class Type { text, number, list };
  const char* option;
  const char* pointer;  // into the client's JSON
  Type type;
  const char* value;
  const char* help;
};
constexpr auto kText = Setting::Type::text;
constexpr auto kNumber = Setting::Type::number;
constexpr auto kList = Setting::Type::list;

// clang-format off
constexpr Setting kSettings[] = {
  {"--description", "/description", kText, "TEXT", "For people"},
  {"--tag", "/tags", kList, "TAG", "For programs; as often as you like"},
  {"--expires", "/expires_at", kText, "TIME", "After this it may not connect, such as 2030-01-01T00:00:00Z"},
  {"--address", "/addresses", kList, "IP", "Fixed inner address, one a family"},
  {"--subnet", "/subnets", kList, "PREFIX", "A network behind the client, routed to it"},
  {"--transport", "/transports", kList, "NAME", "A carrier it may use: websocket, quic or wireguard; else any"},
  {"--max-sessions", "/max_sessions", kNumber, "N", "Sessions at one time"},
  {"--session-policy", "/session_policy", kText, "NAME", "What a session too many does: drop-oldest or refuse-new"},
  {"--priority", "/priority", kNumber, "N", "Lower is more important when memory is short"},
  {"--allow-from", "/security/ip_allow_list", kList, "PATTERN", "Real address it may come from; else any"},
  {"--block-from", "/security/ip_block_list", kList, "PATTERN", "Real address it may not come from"},
  {"--allow-to", "/security/destination_allow_list", kList, "PATTERN", "Inner address it may reach; else any"},
  {"--block-to", "/security/destination_block_list", kList, "PATTERN", "Inner address it may not reach"},
  {"--rate-from-client", "/security/rate_limit/from_client_bytes_per_second", kNumber, "BYTES", "What it may send a second"},
  {"--rate-to-client", "/security/rate_limit/to_client_bytes_per_second", kNumber, "BYTES", "What it may be sent a second"},
  {"--public-key", "/noise_public_key", kText, "KEY", "Its own public key; else a pair is made"},
  {"--wireguard-public-key", "/wireguard_public_key", kText, "KEY", "Its own public key for WireGuard"},
};
// clang-format on

void add(CLI::App& command, const Setting& setting, Json& settings) {
  Pointer pointer(setting.pointer);
  auto put = [&settings, pointer](const auto& value) { settings[pointer] = value; };
  CLI::Option* option = nullptr;
  if (setting.type == Setting::Type::text) {
    option = command.add_option_function<std::string>(setting.option, put, setting.help);
  } else if (setting.type == Setting::Type::number) {
    option = command.add_option_function<uint64_t>(setting.option, put, setting.help);
  } else {
    option = command.add_option_function<std::vector<std::string>>(setting.option, put, setting.help);
    option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  option->type_name(setting.value)->group("Settings of the client");
}

}  // namespace

void add_client_settings(CLI::App& command, ClientsOptions& options) {
  for (const auto& setting : kSettings) add(command, setting, options.settings);
  command
      .add_option("--wireguard-preshared-key-file", options.preshared_key_file,
                  "File with a preshared key for WireGuard; - is standard input")
      ->type_name("FILE")
      ->group("Settings of the client");
  command
      .add_option("--from", options.from,
                  "JSON file with more settings, as in the configuration's `clients`; - is standard input")
      ->type_name("FILE")
      ->group("Settings of the client");
}

Json collect_client_settings(const ClientsOptions& options) {
  Json settings = Json::object();
  if (!options.from.empty()) {
    SecretText text = read_input(options.from);
    settings = Json::parse(text.text(), nullptr, false);
    if (!settings.is_object()) throw Failure{kExitUsage, options.from, "is not a JSON object"};
  }
  settings.merge_patch(options.settings);
  if (!options.preshared_key_file.empty()) {
    SecretText key = read_input(options.preshared_key_file);
    key.text().resize(std::min(key.text().size(), key.text().find_first_of("\r\n")));
    settings["wireguard_preshared_key"] = key.text();
  }
  return settings;
}

void unset_client_setting(Json& settings, const std::string& key) {
  std::string pointer = "/";
  for (char c : key) pointer += c == '.' ? '/' : c;
  settings[Pointer(pointer)] = nullptr;
}

}  // namespace smartvpn::cli
