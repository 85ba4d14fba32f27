// A device that somebody has deleted is made anew: at once, because until then the host's packets go other ways; then
// after pauses that double, so that two programs that disagree about a device do not fight at full speed.
#pragma once

#include <functional>
#include <string>

#include "base/result.hpp"
#include "net/timer.hpp"

namespace smartvpn::forward {

class TunRevival {
 public:
  static constexpr Duration kFirstPause = seconds(1), kLongestPause = seconds(30);
  // A device that held this long was no part of a fight.
  static constexpr Duration kHeldLong = seconds(60);

  // `attempt` makes the device; `notice` is told why it could not, each reason once. Loop and both outlive it.
  TunRevival(net::Loop& loop, std::function<Result<void>()> attempt, std::function<void(const std::string&)> notice);

  // The device is gone.
  void begin();
  void stop();

 private:
  void try_now();
  // From the first loss on, and again after a device that held.
  Duration next_pause();

  net::Loop& loop_;
  const std::function<Result<void>()> attempt_;
  const std::function<void(const std::string&)> notice_;
  net::Timer timer_;
  Time made_at_ = Time::min();
  Duration pause_{0};
  std::string said_;
};

}  // namespace smartvpn::forward
