// Reconfiguring a running server (smartvpn.h, section 6), and what has changed.
#include "capi/changes_object.hpp"
#include "capi/server_object.hpp"
#include "telemetry/json_text.hpp"

namespace smartvpn::capi {

std::string to_json(const std::vector<config::KeyChange>& changes) {
  std::string out = "[";
  for (const auto& change : changes) {
    if (out.size() > 1) out += ',';
    telemetry::JsonObject object(out);
    object.text("path", change.path);
    object.text("result", config::effect_name(change.effect));
    object.close();
  }
  return out += ']';
}

}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_server_reconfigure(smartvpn_server* server, const smartvpn_config* config, uint32_t flags,
                                            smartvpn_changes** out, smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    auto read = [](const config::Document& document) { return document.server_config(); };
    auto next = read_valid(config, read);
    if (!next) return std::move(next).error();
    if ((flags & ~SMARTVPN_RECONFIGURE_DRY_RUN) != 0)
      return make_error(Status::UNSUPPORTED, "a flag that this version has not");
    if (object.server->state() != server::State::running)
      return make_error(Status::BAD_STATE, "the server is not running");
    MutexLock lock(object.reconfiguring);
    return reconfigure(object.running, *next, flags, out, read,
                       [&](config::ServerConfig&& changed, const ToldChanges& told) {
                         return object.server->reconfigure(std::move(changed), told);
                       });
  });
}

const char* smartvpn_changes_json(const smartvpn_changes* changes) {
  return call_for_text<ChangesObject>(changes, nullptr, [](ChangesObject& object) { return object.json.c_str(); });
}

smartvpn_status smartvpn_changes_free(smartvpn_changes* changes) { return free_handle<ChangesObject>(changes); }
