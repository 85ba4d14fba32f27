// A ring of words. A step forward clears the words it passes; one word stays in reserve, which is why
// 64 of the 8192 bits are not usable.
#include "session/replay_window.hpp"

#include <algorithm>

namespace smartvpn::session {

bool ReplayWindow::accept(uint64_t counter) noexcept {
  constexpr uint64_t kWords = kBits / 64;
  if (counter >= kRejectAfterMessages) return false;
  if (counter > highest_) {
    uint64_t from = highest_ / 64, to = counter / 64;
    uint64_t steps = std::min(to - from, kWords);
    for (uint64_t i = 1; i <= steps; ++i) words_[(from + i) % kWords] = 0;
    highest_ = counter;
  } else if (highest_ - counter > kUsable) {
    return false;
  }
  uint64_t& word = words_[(counter / 64) % kWords];
  uint64_t bit = uint64_t{1} << (counter % 64);
  if (word & bit) return false;
  word |= bit;
  return true;
}

}  // namespace smartvpn::session
