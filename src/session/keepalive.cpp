// Keepalive; see the header file.
#include "session/keepalive.hpp"

#include <algorithm>

namespace smartvpn::session {

Keepalive::Keepalive(const Timing& timing) noexcept : retry_(timing.ping_retry), dead_after_(timing.dead_after) {
  set_interval(timing.keepalive_interval);
}

void Keepalive::set_interval(Duration interval) noexcept { interval_ = std::max<Duration>(interval, seconds(1)); }

void Keepalive::start(Time now) noexcept {
  last_heard_ = now;
  liveness_ = Liveness::alive;
  deadline_ = now + interval_;
}

bool Keepalive::heard(Time now) noexcept {
  last_heard_ = now;
  if (liveness_ == Liveness::alive) return false;  // the deadline stays: round trips are measured in traffic too
  liveness_ = Liveness::alive;
  deadline_ = now + interval_;
  return true;
}

bool Keepalive::tick(Time now) noexcept {
  if (now < deadline_) return false;
  const bool slept = now - deadline_ > retry_;
  if (liveness_ == Liveness::alive || slept) return ask(now);
  if (now - unanswered_since_ >= dead_after_) {
    liveness_ = Liveness::dead;
    deadline_ = kNever;
    return false;
  }
  deadline_ = std::min(now + retry_, unanswered_since_ + dead_after_);
  return true;
}

bool Keepalive::ask(Time now) noexcept {
  liveness_ = Liveness::waiting;
  unanswered_since_ = now;
  deadline_ = now + std::min(retry_, dead_after_);
  return true;
}

uint64_t Keepalive::ping_sent(Time now) noexcept {
  uint64_t token = next_token_++;
  pings_[token % kRemembered] = {token, now};
  return token;
}

std::optional<Duration> Keepalive::pong_received(uint64_t token, Time now) noexcept {
  Ping& ping = pings_[token % kRemembered];
  if (token == 0 || ping.token != token) return std::nullopt;
  ping.token = 0;
  return now - ping.sent;
}

bool Keepalive::may_pong(Time now) noexcept {
  if (now - pong_window_ >= seconds(1)) {
    pong_window_ = now;
    pongs_ = 0;
  }
  return pongs_ < kPongsPerSecond && ++pongs_;
}

}  // namespace smartvpn::session
