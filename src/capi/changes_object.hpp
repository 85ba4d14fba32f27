// What stands behind a smartvpn_changes, and the one way in which a running server or relay takes a new configuration:
// which keys differ, which of them can be applied, and a configuration in which exactly those are new.
#pragma once

#include "capi/arguments.hpp"
#include "capi/call.hpp"
#include "capi/config_object.hpp"

namespace smartvpn::capi {

class ChangesObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::changes;
  explicit ChangesObject(std::string json) : json(std::move(json)) {}
  const std::string json;
};

std::string to_json(const std::vector<config::KeyChange>& changes);

using ToldChanges = std::vector<std::pair<std::string, std::string>>;

// Throws nothing away that is still run on: what needs a restart keeps its old value. `read(document)` gives a
// Result<configuration>, `apply(configuration, told)` a Result<void>. `running` is what is run on.
template <class Read, class Apply>
Result<void> apply_changes(config::Document& running, const config::Document& next,
                           const std::vector<config::KeyChange>& changes, Read&& read, Apply&& apply) {
  std::vector<config::KeyChange> applied;
  ToldChanges told;
  for (const auto& change : changes) {
    told.emplace_back(change.path, config::effect_name(change.effect));
    if (change.effect == config::Effect::applied) applied.push_back(change);
  }
  config::Document merged = running.clone();
  merged.take(next, applied);
  auto config = read(merged);
  if (!config) {
    Error error = std::move(config).error();
    error.text += " (beside the present values of keys that need a restart)";
    return error;
  }
  if (auto done = apply(std::move(*config), told); !done) return done;
  running = std::move(merged);
  return {};
}

// A copy of a configuration for which `read` gives no error.
template <class Read>
Result<config::Document> read_valid(const smartvpn_config* config, Read&& read) {
  Reference<ConfigObject> object(value_of(config));
  if (!object) return handle_error(object.status());
  MutexLock lock((*object).mutex);
  if (auto valid = read((*object).document); !valid) return std::move(valid).error();
  return (*object).document.clone();
}

// The whole of a reconfiguration, for who holds the lock that belongs to `running`.
template <class Read, class Apply>
Result<void> reconfigure(config::Document& running, const config::Document& next, uint32_t flags,
                         smartvpn_changes** out, Read&& read, Apply&& apply) {
  const auto changes = running.changes_to(next);
  auto answer = std::make_unique<ChangesObject>(to_json(changes));
  Place place;
  if ((flags & SMARTVPN_RECONFIGURE_DRY_RUN) == 0)
    if (auto done = apply_changes(running, next, changes, read, apply); !done) return done;
  if (out) place.give(out, std::move(answer));
  return {};
}

}  // namespace smartvpn::capi
