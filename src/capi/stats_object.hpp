// What stands behind a smartvpn_stats: one snapshot, whoever it came from.
#pragma once

#include "capi/arguments.hpp"
#include "capi/call.hpp"
#include "telemetry/stats.hpp"

namespace smartvpn::capi {

class StatsObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::stats;
  explicit StatsObject(telemetry::StatsSnapshot&& snapshot) : snapshot(std::move(snapshot)) {}
  const telemetry::StatsSnapshot snapshot;
};

// Hands a snapshot of `face` (a server or a tunnel) to the caller.
template <class Face>
Result<void> open_stats(Face& face, smartvpn_stats** out) {
  if (!out) return null_argument("out");
  Result<telemetry::StatsSnapshot> snapshot = face.stats();
  if (!snapshot) return std::move(snapshot).error();
  give(out, std::make_unique<StatsObject>(std::move(*snapshot)));
  return {};
}

}  // namespace smartvpn::capi
