#include "net/timer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

#include "support/loop_runner.hpp"

namespace smartvpn::net {
namespace {

using testing::LoopKind;
using testing::run_until;

struct EachLoopsTimer : testing::WithEachLoop {};

TEST_P(EachLoopsTimer, FireInOrderOfTheirDeadlines) {
  auto loop = make();
  std::string order;
  Timer a(*loop, [&] { order += "a"; }), b(*loop, [&] { order += "b"; }), c(*loop, [&] { order += "c"; });
  c.start_in(milliseconds(9));
  a.start_in(milliseconds(1));
  b.start_in(milliseconds(5));
  EXPECT_TRUE(run_until(*loop, [&] { return order.size() == 3; }));
  EXPECT_EQ(order, "abc");
}

TEST_P(EachLoopsTimer, NeverFiresEarly) {
  auto loop = make();
  Time at{}, fired{};
  Timer timer(*loop, [&] { fired = monotonic_now(); });
  at = loop->now() + milliseconds(3);
  timer.start_at(at);
  EXPECT_EQ(timer.deadline(), at);
  EXPECT_TRUE(run_until(*loop, [&] { return fired != Time{}; }));
  EXPECT_GE(fired, at);
  EXPECT_FALSE(timer.running());
}

TEST_P(EachLoopsTimer, StoppedOrDestroyedDoesNotFire) {
  auto loop = make();
  bool wrong = false, last = false;
  Timer stopped(*loop, [&] { wrong = true; }), end(*loop, [&] { last = true; });
  auto destroyed = std::make_unique<Timer>(*loop, [&] { wrong = true; });
  stopped.start_in(milliseconds(1));
  destroyed->start_in(milliseconds(1));
  end.start_in(milliseconds(3));
  stopped.stop();
  destroyed.reset();
  EXPECT_TRUE(run_until(*loop, [&] { return last; }));
  EXPECT_FALSE(wrong);
}

TEST_P(EachLoopsTimer, MayStartAgainOrDestroyItselfInItsCallback) {
  auto loop = make();
  int count = 0;
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(*loop, [&] {
    if (++count < 3) {
      timer->start_in(Duration(0));
    } else {
      timer.reset();
    }
  });
  timer->start_at(Time{});
  EXPECT_TRUE(run_until(*loop, [&] { return !timer; }));
  EXPECT_EQ(count, 3);
}

TEST_P(EachLoopsTimer, EndlesslyRestartedDoesNotStarveOthers) {
  auto loop = make();
  Timer greedy(*loop, [&] { greedy.start_at(Time{}); });
  greedy.start_at(Time{});
  bool served = false;
  ASSERT_TRUE(loop->post([&] { served = true; }));
  EXPECT_TRUE(run_until(*loop, [&] { return served; }));
}

TEST_P(EachLoopsTimer, KNeverStops) {
  auto loop = make();
  Timer timer(*loop, [] {});
  timer.start_in(seconds(1));
  timer.start_at(kNever);
  EXPECT_FALSE(timer.running());
  timer.start_in(Duration::max());
  EXPECT_FALSE(timer.running());
}

// The heap against a sorted list, with moves and removals.
TEST(TimerHeap, AgreesWithASortedList) {
  auto loop = testing::make_loop();
  TimerHeap heap;
  std::mt19937 random(7);
  std::deque<Timer> timers;
  for (int i = 0; i < 300; ++i) timers.emplace_back(*loop, [] {});
  std::vector<std::pair<Time, Timer*>> oracle;
  auto forget = [&](Timer* t) {
    oracle.erase(std::find_if(oracle.begin(), oracle.end(), [t](auto& e) { return e.second == t; }));
  };
  for (int step = 0; step < 20000; ++step) {
    Timer& timer = timers[random() % timers.size()];
    if (random() % 3 != 0) {
      Time at = Time(Duration(random() % 1000));
      if (timer.running()) forget(&timer);
      heap.put(timer, at);
      oracle.emplace_back(at, &timer);
    } else if (timer.running()) {
      heap.take(timer);
      forget(&timer);
    }
    if (step % 50 == 0) {
      Time now = Time(Duration(random() % 200));
      while (Timer* due = heap.pop_due(now)) {
        EXPECT_FALSE(due->running());
        forget(due);
      }
      for (auto& entry : oracle) EXPECT_GT(entry.first, now);
    }
    ASSERT_EQ(heap.size(), oracle.size());
    Time first = oracle.empty() ? kNever : std::min_element(oracle.begin(), oracle.end())->first;
    ASSERT_EQ(heap.next(), first);
  }
  while (heap.size() > 0) heap.pop_due(kNever);
}

INSTANTIATE_TEST_SUITE_P(Loops, EachLoopsTimer, ::testing::Values(LoopKind::usual, LoopKind::many),
                         EachLoopsTimer::name);

}  // namespace
}  // namespace smartvpn::net
