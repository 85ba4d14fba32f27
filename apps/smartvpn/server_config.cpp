// See server_config.hpp.
#include "server_config.hpp"

#include "config_file.hpp"

namespace smartvpn::cli {
namespace {

using Changes = std::unique_ptr<smartvpn_changes, HandleDeleter<smartvpn_changes_free>>;

void set(smartvpn_config* config, const std::string& pointer, const std::string& json) {
  call([&](smartvpn_error** error) {
    return smartvpn_config_set(config, pointer.c_str(), json.data(), json.size(), error);
  });
}

// The same key in an entry that is missing would be made, and the entry with it.
void adopt(smartvpn_config* config, const InheritedSocket& socket) {
  std::string entry = "/listen/" + std::to_string(socket.listener);
  for (const char* key : {"/address", "/port"}) set(config, entry + key, "null");
  set(config, entry + "/fd", std::to_string(socket.fd));
}

}  // namespace

Config ServerConfigFile::load() const {
  LoadedConfig loaded = load_config(path_, Kind::server);
  for (const auto& socket : sockets_) adopt(loaded.config.get(), socket);
  return std::move(loaded.config);
}

std::string ServerConfigFile::reconfigure(smartvpn_server* server, bool dry_run) const {
  // Nothing here may wait: a pipe that was read once would keep us for ever.
  must_be_readable_again(path_);
  Config config = load();
  uint32_t flags = dry_run ? SMARTVPN_RECONFIGURE_DRY_RUN : 0;
  Changes changes = make<Changes>([&](smartvpn_changes** out, smartvpn_error** error) {
    return smartvpn_server_reconfigure(server, config.get(), flags, out, error);
  });
  const char* json = smartvpn_changes_json(changes.get());
  return json ? json : "[]";
}

std::string ServerConfigFile::reload(smartvpn_server* server) const {
  std::string changes = reconfigure(server, false);
  try {
    call([&](smartvpn_error** error) { return smartvpn_server_reload_certificates(server, error); });
  } catch (Failure& failure) {
    if (changes != "[]") failure.text += "; the rest of the configuration was applied";
    throw;
  }
  return changes;
}

}  // namespace smartvpn::cli
