// Which of a route's targets a connection goes to. Health is what connections have met: a target that fails is left out
// for a while that doubles from 1 s to 60 s. Pure; one a worker.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "config/relay_config.hpp"

namespace smartvpn::relay {

class Balancer {
 public:
  static constexpr size_t kMaxTargets = 64;
  static constexpr Duration kFirstPause = seconds(1), kLongestPause = seconds(60);

  // 1 to kMaxTargets.
  Balancer(size_t targets, config::RelayActionConfig::Balance balance);

  // Bit n of `tried`: target n was tried for this connection, and is not given again. Where all others are left out,
  // the one whose time is over first. Nothing: all were tried.
  std::optional<size_t> pick(Time now, uint64_t tried) noexcept;

  // True: it is the first failure, or the first success after one. A failure of a target that is left out counts for
  // nothing: it is one more connection that met what was met already.
  bool failed(size_t target, Time now) noexcept;
  bool succeeded(size_t target) noexcept;
  bool healthy(size_t target) const noexcept { return states_[target].failures == 0; }

  // For least_connections; each opened() is followed by one closed().
  void opened(size_t target) noexcept { ++states_[target].open; }
  void closed(size_t target) noexcept { --states_[target].open; }

 private:
  struct State {
    uint64_t open = 0;
    uint32_t failures = 0;  // in a row
    Time out_until{};
  };
  bool better(size_t a, size_t b, Time now) const noexcept;

  std::vector<State> states_;
  const bool least_connections_;
  size_t next_ = 0;
};

}  // namespace smartvpn::relay
