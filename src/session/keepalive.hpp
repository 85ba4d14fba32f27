// Is the other side there, and how far away is it? Decides when a ping goes out, when the peer is
// dead, which pongs may be sent, and what a returning pong says about the round trip.
// docs/PROTOCOL.md, "Keepalive".
#pragma once

#include <array>
#include <optional>

#include "session/timing.hpp"

namespace smartvpn::session {

enum class Liveness : uint8_t {
  alive,
  waiting,  // a ping is unanswered
  dead,     // nothing opened for `dead_after` since the first unanswered ping
};

class Keepalive {
 public:
  explicit Keepalive(const Timing& timing) noexcept;

  // At least a second.
  void set_interval(Duration interval) noexcept;
  // Starts (again) as if something had just been heard.
  void start(Time now) noexcept;
  // Any message opened. True when this ends `waiting` or `dead`.
  bool heard(Time now) noexcept;
  // Call at or after next_deadline(). True: a ping is due now. The state may have become `dead`. A
  // call that comes much too late (a suspended machine) asks again before it judges.
  bool tick(Time now) noexcept;

  // The token for a ping that leaves now.
  uint64_t ping_sent(Time now) noexcept;
  // The round trip, when the token is of one of the last pings and was not answered yet.
  std::optional<Duration> pong_received(uint64_t token, Time now) noexcept;
  // Ten pongs a second, no more.
  bool may_pong(Time now) noexcept;

  Liveness liveness() const noexcept { return liveness_; }
  Time last_heard() const noexcept { return last_heard_; }
  Time next_deadline() const noexcept { return deadline_; }

 private:
  static constexpr size_t kRemembered = 4;
  static constexpr uint32_t kPongsPerSecond = 10;
  struct Ping {
    uint64_t token = 0;  // 0: answered or never sent
    Time sent{};
  };
  bool ask(Time now) noexcept;

  const Duration retry_, dead_after_;
  Duration interval_{};
  Liveness liveness_ = Liveness::alive;
  Time last_heard_{}, unanswered_since_{}, deadline_ = kNever;
  uint64_t next_token_ = 1;
  std::array<Ping, kRemembered> pings_;
  Time pong_window_{};
  uint32_t pongs_ = 0;
};

}  // namespace smartvpn::session
