// Reconfiguring a running server (smartvpn.h, section 6): which keys differ, which of them can be applied,
// and a configuration in which exactly those are new.
#include "capi/arguments.hpp"
#include "capi/call.hpp"
#include "capi/config_object.hpp"
#include "capi/server_object.hpp"
#include "telemetry/json_text.hpp"

namespace smartvpn::capi {
namespace {

class ChangesObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::changes;
  explicit ChangesObject(std::string json) : json(std::move(json)) {}
  const std::string json;
};

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

// Throws nothing away that the server still runs on: what needs a restart keeps its old value.
Result<void> apply(ServerObject& object, const config::Document& next, const std::vector<config::KeyChange>& changes)
    REQUIRES(object.reconfiguring) {
  std::vector<config::KeyChange> applied;
  std::vector<std::pair<std::string, std::string>> told;
  for (const auto& change : changes) {
    told.emplace_back(change.path, config::effect_name(change.effect));
    if (change.effect == config::Effect::applied) applied.push_back(change);
  }
  config::Document merged = object.running.clone();
  merged.take(next, applied);
  auto config = merged.server_config();
  if (!config) {
    Error error = std::move(config).error();
    error.text += " (beside the present values of keys that need a restart)";
    return error;
  }
  if (auto done = object.server->reconfigure(std::move(*config), told); !done) return done;
  object.running = std::move(merged);
  return {};
}

Result<config::Document> read_valid(const smartvpn_config* config) {
  Reference<ConfigObject> object(value_of(config));
  if (!object) return handle_error(object.status());
  MutexLock lock((*object).mutex);
  if (auto valid = (*object).document.server_config(); !valid) return std::move(valid).error();
  return (*object).document.clone();
}

}  // namespace
}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_server_reconfigure(smartvpn_server* server, const smartvpn_config* config, uint32_t flags,
                                            smartvpn_changes** out, smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    auto next = read_valid(config);
    if (!next) return std::move(next).error();
    if ((flags & ~SMARTVPN_RECONFIGURE_DRY_RUN) != 0)
      return make_error(Status::UNSUPPORTED, "a flag that this version has not");
    if (object.server->state() != server::State::running)
      return make_error(Status::BAD_STATE, "the server is not running");
    MutexLock lock(object.reconfiguring);
    const auto changes = object.running.changes_to(*next);
    auto answer = std::make_unique<ChangesObject>(to_json(changes));
    Place place;
    if ((flags & SMARTVPN_RECONFIGURE_DRY_RUN) == 0)
      if (auto done = apply(object, *next, changes); !done) return done;
    if (out) place.give(out, std::move(answer));
    return {};
  });
}

const char* smartvpn_changes_json(const smartvpn_changes* changes) {
  return call_for_text<ChangesObject>(changes, nullptr, [](ChangesObject& object) { return object.json.c_str(); });
}

smartvpn_status smartvpn_changes_free(smartvpn_changes* changes) { return free_handle<ChangesObject>(changes); }
