// How good a session's path is: smoothed RTT and its variation (RFC 6298), minimum over a window,
// jitter (RFC 3550 section 6.4.1 on successive RTTs), loss where the carrier can lose, and the one
// word made of them. Pure: samples and times come in.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.hpp"

namespace smartvpn::telemetry {

enum class Health : uint8_t { good = 0, fair = 1, poor = 2, dead = 3 };
const char* health_name(Health health) noexcept;

// Values at one moment, for `SessionInfo` and events. Microseconds; 0 before the first sample.
struct LinkQuality {
  uint32_t samples = 0;
  uint32_t rtt_us = 0;      // smoothed
  uint32_t rtt_var_us = 0;  // RFC 6298 RTTVAR
  uint32_t rtt_min_us = 0;  // over the last 5 to 10 minutes
  uint32_t jitter_us = 0;
  std::optional<uint32_t> loss_ppm;  // absent on carriers that cannot lose
  Health health = Health::good;
};

// Health, the first that applies:
//   dead  mark_dead() was called (keepalive ran out); any sample ends it
//   poor  2 or more pings unanswered, RTT over 1 s, RTT over minimum + 500 ms and 5 times the
//         minimum, or loss of 10 % and more
//   fair  1 ping unanswered, RTT over 400 ms, RTT over minimum + 100 ms and twice the minimum, or
//         loss of 2 % and more
//   good  otherwise
// It gets worse at once and better only after two samples in a row that say so.
class LinkEstimator {
 public:
  static constexpr Duration kMinWindow = std::chrono::minutes(5);

  // A ping was answered; negative samples count as zero, more than an hour as an hour.
  void on_rtt(Duration rtt, Time now) noexcept;
  // A ping's answer is overdue.
  void on_ping_unanswered() noexcept;
  // Anything authentic was heard: unanswered pings are forgiven.
  void on_heard() noexcept;
  // Datagram carriers: of the last `sent` messages `lost` are known lost. Smoothed by 1/8.
  void on_loss(uint64_t sent, uint64_t lost) noexcept;
  void mark_dead() noexcept;

  LinkQuality quality() const noexcept;
  Health health() const noexcept { return health_; }
  // True once after each change, for `health_changed` events.
  bool take_health_change() noexcept;

 private:
  void update_min(int64_t us, Time now) noexcept;
  Health judge() const noexcept;
  void settle(bool from_sample) noexcept;

  uint32_t samples_ = 0;
  int64_t srtt_us_ = 0, rttvar_us_ = 0, last_us_ = 0;
  int64_t jitter_x16_us_ = 0;
  int64_t min_now_us_ = -1, min_before_us_ = -1;
  Time min_since_{};
  std::optional<uint32_t> loss_ppm_;
  uint32_t unanswered_ = 0;
  uint32_t better_in_a_row_ = 0;
  Health health_ = Health::good;
  Health reported_ = Health::good;
};

}  // namespace smartvpn::telemetry
