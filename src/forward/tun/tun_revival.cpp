// See tun_revival.hpp.
#include "forward/tun/tun_revival.hpp"

#include <algorithm>
#include <utility>

#include "net/loop.hpp"

namespace smartvpn::forward {

TunRevival::TunRevival(net::Loop& loop, std::function<Result<void>()> attempt,
                       std::function<void(const std::string&)> notice)
    : loop_(loop), attempt_(std::move(attempt)), notice_(std::move(notice)), timer_(loop, [this] { try_now(); }) {}

void TunRevival::begin() {
  if (made_at_ == Time::min() || loop_.now() >= made_at_ + kHeldLong) pause_ = Duration::zero();
  said_.clear();
  timer_.start_in(next_pause());
}

void TunRevival::stop() { timer_.stop(); }

Duration TunRevival::next_pause() {
  return std::exchange(pause_, std::clamp<Duration>(2 * pause_, kFirstPause, kLongestPause));
}

void TunRevival::try_now() {
  timer_.start_in(std::max<Duration>(pause_, kFirstPause));  // first: an attempt may end for want of memory
  auto made = attempt_();
  if (made) {
    timer_.stop();
    made_at_ = loop_.now();
    return;
  }
  (void)next_pause();
  if (std::exchange(said_, made.error().text) == made.error().text) return;
  notice_("the tun device cannot be made again: " + made.error().text + "; it is tried again");
}

}  // namespace smartvpn::forward
