// The estimators behind `LinkQuality`. Integer microseconds throughout.
#include "telemetry/link_quality.hpp"

#include <algorithm>

namespace smartvpn::telemetry {
namespace {

constexpr int64_t kMs = 1000;  // microseconds
constexpr int64_t kMaxRttUs = int64_t{3600} * 1000 * kMs;

constexpr int64_t kPoorRtt = 1000 * kMs, kPoorRise = 500 * kMs, kPoorFactor = 5;
constexpr int64_t kFairRtt = 400 * kMs, kFairRise = 100 * kMs, kFairFactor = 2;
constexpr uint32_t kPoorLossPpm = 100000, kFairLossPpm = 20000;
constexpr uint32_t kSamplesToImprove = 2;

}  // namespace

const char* health_name(Health health) noexcept {
  switch (health) {
    case Health::good:
      return "good";
    case Health::fair:
      return "fair";
    case Health::poor:
      return "poor";
    case Health::dead:
      return "dead";
  }
  return "unknown";
}

void LinkEstimator::on_rtt(Duration rtt, Time now) noexcept {
  int64_t us = std::chrono::duration_cast<std::chrono::microseconds>(rtt).count();
  us = std::clamp<int64_t>(us, 0, kMaxRttUs);
  if (samples_ == 0) {
    srtt_us_ = us;  // RFC 6298 (2.2)
    rttvar_us_ = us / 2;
  } else {
    rttvar_us_ += (std::abs(srtt_us_ - us) - rttvar_us_) / 4;  // (2.3), with the old SRTT
    srtt_us_ += (us - srtt_us_) / 8;
    // RFC 3550 A.8: kept times 16, so that rounding does not stop it from decaying.
    jitter_x16_us_ += std::abs(us - last_us_) - (jitter_x16_us_ + 8) / 16;
  }
  last_us_ = us;
  if (samples_ != UINT32_MAX) ++samples_;
  unanswered_ = 0;
  update_min(us, now);
  settle(true);
}

void LinkEstimator::update_min(int64_t us, Time now) noexcept {
  if (min_now_us_ < 0 || now - min_since_ >= kMinWindow) {
    // After two windows of silence the older minimum is stale as well.
    min_before_us_ = now - min_since_ >= 2 * kMinWindow ? -1 : min_now_us_;
    min_now_us_ = us;
    min_since_ = now;
  }
  min_now_us_ = std::min(min_now_us_, us);
}

void LinkEstimator::on_ping_unanswered() noexcept {
  if (unanswered_ != UINT32_MAX) ++unanswered_;
  settle(false);
}

void LinkEstimator::on_heard() noexcept {
  if (unanswered_ == 0 && health_ != Health::dead) return;
  unanswered_ = 0;
  settle(true);
}

void LinkEstimator::on_loss(uint64_t sent, uint64_t lost) noexcept {
  if (sent == 0) return;
  lost = std::min(lost, sent);
  auto ppm = static_cast<int64_t>(static_cast<double>(lost) / static_cast<double>(sent) * 1e6);
  int64_t old = loss_ppm_ ? int64_t{*loss_ppm_} : ppm;
  loss_ppm_ = static_cast<uint32_t>(old + (ppm - old) / 8);
  settle(true);
}

void LinkEstimator::mark_dead() noexcept {
  health_ = Health::dead;
  better_in_a_row_ = 0;
}

Health LinkEstimator::judge() const noexcept {
  int64_t minimum = min_before_us_ < 0 ? min_now_us_ : std::min(min_now_us_, min_before_us_);
  uint32_t loss = loss_ppm_.value_or(0);
  auto inflated = [&](int64_t limit, int64_t rise, int64_t factor) {
    return samples_ != 0 && (srtt_us_ > limit || (srtt_us_ > minimum + rise && srtt_us_ > minimum * factor));
  };
  if (unanswered_ >= 2 || loss >= kPoorLossPpm || inflated(kPoorRtt, kPoorRise, kPoorFactor)) return Health::poor;
  if (unanswered_ == 1 || loss >= kFairLossPpm || inflated(kFairRtt, kFairRise, kFairFactor)) return Health::fair;
  return Health::good;
}

void LinkEstimator::settle(bool from_sample) noexcept {
  Health now = judge();
  if (health_ == Health::dead) {
    if (from_sample) health_ = now;  // it lives: no need to prove it twice
    better_in_a_row_ = 0;
    return;
  }
  if (now >= health_) {
    health_ = now;
    better_in_a_row_ = 0;
    return;
  }
  if (from_sample && ++better_in_a_row_ >= kSamplesToImprove) {
    health_ = now;
    better_in_a_row_ = 0;
  }
}

LinkQuality LinkEstimator::quality() const noexcept {
  LinkQuality out;
  int64_t minimum = min_before_us_ < 0 ? min_now_us_ : std::min(min_now_us_, min_before_us_);
  out.samples = samples_;
  out.rtt_us = static_cast<uint32_t>(srtt_us_);
  out.rtt_var_us = static_cast<uint32_t>(rttvar_us_);
  out.rtt_min_us = static_cast<uint32_t>(std::max<int64_t>(minimum, 0));
  out.jitter_us = static_cast<uint32_t>(jitter_x16_us_ / 16);
  out.loss_ppm = loss_ppm_;
  out.health = health_;
  return out;
}

bool LinkEstimator::take_health_change() noexcept {
  if (reported_ == health_) return false;
  reported_ = health_;
  return true;
}

}  // namespace smartvpn::telemetry
