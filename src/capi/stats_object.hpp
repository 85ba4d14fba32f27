// What stands behind a smartvpn_stats: one snapshot, whoever it came from.
#pragma once

#include <variant>

#include "capi/arguments.hpp"
#include "capi/call.hpp"
#include "relay/relay_stats.hpp"
#include "telemetry/stats.hpp"

namespace smartvpn::capi {

class StatsObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::stats;
  using Snapshot = std::variant<telemetry::StatsSnapshot, relay::RelaySnapshot>;
  explicit StatsObject(Snapshot&& snapshot) : snapshot(std::move(snapshot)) {}
  const Snapshot snapshot;
};

// Hands a snapshot of `face` (a server, a tunnel or a relay) to the caller.
template <class Face>
Result<void> open_stats(Face& face, smartvpn_stats** out) {
  if (!out) return null_argument("out");
  auto snapshot = face.stats();
  if (!snapshot) return std::move(snapshot).error();
  give(out, std::make_unique<StatsObject>(std::move(*snapshot)));
  return {};
}

}  // namespace smartvpn::capi
