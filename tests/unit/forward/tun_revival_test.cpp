#include "forward/tun/tun_revival.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/loop_runner.hpp"

namespace smartvpn::forward {
namespace {

using testing::make_loop;
using testing::run_until;

TEST(TunRevival, TriesAtOnceThenRestsAndSaysEachReasonOnce) {
  auto loop = make_loop();
  std::vector<Time> tries;
  std::vector<std::string> notices;
  int good_from = 3;
  TunRevival revival(
      *loop,
      [&]() -> Result<void> {
        tries.push_back(loop->now());
        if (static_cast<int>(tries.size()) >= good_from) return {};
        return system_error(EBUSY, "taken");
      },
      [&](const std::string& text) { notices.push_back(text); });
  Time lost = loop->now();
  revival.begin();
  ASSERT_TRUE(run_until(*loop, [&] { return tries.size() == 3; }));
  EXPECT_LT(tries[0] - lost, milliseconds(500));
  EXPECT_GE(tries[1] - tries[0], seconds(1));
  EXPECT_GE(tries[2] - tries[1], seconds(2));
  EXPECT_EQ(notices.size(), 1u);
  // Lost again at once: somebody fights for it, so the next try waits longer.
  revival.begin();
  bool over = false;
  net::Timer watch(*loop, [&] { over = true; });
  watch.start_in(milliseconds(1500));
  run_until(*loop, [&] { return over; });
  EXPECT_EQ(tries.size(), 3u);
  revival.stop();
}

}  // namespace
}  // namespace smartvpn::forward
