#include "net/loop.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "net/descriptor_register.hpp"
#include "net/fd.hpp"
#include "net/thread.hpp"
#include "support/loop_runner.hpp"

namespace smartvpn::net {
namespace {

using testing::LoopKind;
using testing::make_loop;
using testing::make_loop_for_many;
using testing::run_until;
using EachLoop = testing::WithEachLoop;

TEST_P(EachLoop, RunsPostedCommandsInOrderOnItsThread) {
  auto loop = make();
  std::vector<int> seen;
  std::thread::id where;
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(loop->post([&seen, i] { seen.push_back(i); }));
    EXPECT_TRUE(loop->post([&] {
      where = std::this_thread::get_id();
      loop->stop();
    }));
  });
  loop->run();
  other.join();
  ASSERT_EQ(seen.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
  EXPECT_EQ(where, std::this_thread::get_id());
}

TEST_P(EachLoop, RefusesCommandsBeyondItsBound) {
  auto loop = Loop::create(2);
  ASSERT_TRUE(loop.ok());
  EXPECT_TRUE((*loop)->post([] {}));
  EXPECT_TRUE((*loop)->post([] {}));
  EXPECT_FALSE((*loop)->post([] {}));
}

TEST_P(EachLoop, StopBeforeRunHoldsAndRefusesCommands) {
  auto loop = make();
  loop->stop();
  loop->run();
  EXPECT_FALSE(loop->post([] {}));
}

TEST_P(EachLoop, ServesMoreCommandsThanOneTurnTakes) {
  auto loop = make();
  int count = 0;
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(loop->post([&] { ++count; }));
  EXPECT_TRUE(run_until(*loop, [&] { return count == 1000; }));
}

TEST_P(EachLoop, TurnEndsRunOnceAfterTheWorkOfTheTurnAndAfterTheHook) {
  auto loop = make();
  std::string order;
  TurnEnd end(*loop, [&] { order += "E"; });
  loop->set_turn_hook([&] {
    if (order == "cc") order += "H";
  });
  for (int i = 0; i < 2; ++i)
    ASSERT_TRUE(loop->post([&] {
      order += "c";
      end.request();
      end.request();
    }));
  EXPECT_TRUE(run_until(*loop, [&] { return order.size() >= 4; }));
  EXPECT_EQ(order.substr(0, 4), "ccHE");
}

TEST_P(EachLoop, TurnEndRequestedByATurnEndRunsInTheSameTurn) {
  auto loop = make();
  std::string order;
  TurnEnd second(*loop, [&] { order += "2"; });
  TurnEnd first(*loop, [&] {
    order += "1";
    second.request();
  });
  std::string seen_by_next_command;
  ASSERT_TRUE(loop->post([&] { first.request(); }));
  loop->run_turn();
  EXPECT_EQ(order, "12");
}

TEST_P(EachLoop, TurnEndMayDestroyItselfAndOthers) {
  auto loop = make();
  int runs = 0;
  std::unique_ptr<TurnEnd> a, b, c;
  b = std::make_unique<TurnEnd>(*loop, [&] { ++runs; });
  c = std::make_unique<TurnEnd>(*loop, [&] { ++runs; });
  a = std::make_unique<TurnEnd>(*loop, [&] {
    ++runs;
    b.reset();
    a.reset();
  });
  ASSERT_TRUE(loop->post([&] {
    a->request();
    b->request();
    c->request();
  }));
  loop->run_turn();
  EXPECT_EQ(runs, 2);
}

TEST_P(EachLoop, TurnEndThatNeverRestsDoesNotHoldTheLoop) {
  auto loop = make();
  int runs = 0;
  TurnEnd* self = nullptr;
  TurnEnd end(*loop, [&] {
    ++runs;
    self->request();
  });
  self = &end;
  end.request();
  bool served = false;
  ASSERT_TRUE(loop->post([&] { served = true; }));
  EXPECT_TRUE(run_until(*loop, [&] { return served && runs > 20; }));
}

TEST_P(EachLoop, ContainsWhatCommandsThrow) {
  auto loop = make();
  std::string told;
  loop->set_exception_hook([&](const char* what) { told = what; });
  bool after = false;
  ASSERT_TRUE(loop->post([] { throw std::bad_alloc(); }));
  ASSERT_TRUE(loop->post([&] { after = true; }));
  EXPECT_TRUE(run_until(*loop, [&] { return after; }));
  EXPECT_EQ(loop->contained_exceptions(), 1u);
  EXPECT_EQ(told, "std::bad_alloc");
}

TEST_P(EachLoop, NowStandsStillWithinATurn) {
  auto loop = make();
  Time first{}, second{};
  ASSERT_TRUE(loop->post([&] {
    first = loop->now();
    while (monotonic_now() == first) {
    }
    second = loop->now();
  }));
  EXPECT_TRUE(run_until(*loop, [&] { return second != Time{}; }));
  EXPECT_EQ(first, second);
  EXPECT_GT(loop->now(), second);
}

TEST_P(EachLoop, ManyWakesOfAnyThreadCallBackAtLeastOnceAfterTheLast) {
  auto loop = make();
  std::atomic<int> produced{0};
  int seen = 0;
  auto wake = Wake::create(*loop, [&] { seen = produced.load(); });
  ASSERT_TRUE(wake.ok());
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) {
      ++produced;
      (*wake)->wake();
    }
  });
  EXPECT_TRUE(run_until(*loop, [&] { return seen == 1000; }));
  other.join();
}

TEST(Thread, HasItsNameAndBlocksEverySignal) {
  char name[16] = {};
  sigset_t mask;
  sigemptyset(&mask);
  auto thread = Thread::start("svpn-a-name-that-is-too-long", [&] {
    pthread_getname_np(pthread_self(), name, sizeof name);
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  });
  ASSERT_TRUE(thread.ok());
  (*thread)->join();
  EXPECT_STREQ(name, "svpn-a-name-tha");
  EXPECT_TRUE(sigismember(&mask, SIGTERM));
  EXPECT_TRUE(sigismember(&mask, SIGPIPE));
  sigset_t ours;
  pthread_sigmask(SIG_BLOCK, nullptr, &ours);
  EXPECT_FALSE(sigismember(&ours, SIGTERM)) << "the starting thread gets its mask back";
}

TEST(DescriptorRegister, ClosesWhatItHoldsAndNothingElse) {
  DescriptorRegister held;
  std::vector<Fd> owned;
  std::vector<uint32_t> slots;
  for (int i = 0; i < 600; ++i) {  // more than two chunks
    owned.emplace_back(Fd(open("/dev/null", O_RDONLY | O_CLOEXEC)));
    ASSERT_TRUE(owned.back());
    slots.push_back(held.add(owned.back().get()));
  }
  for (size_t i = 0; i < 600; i += 2) held.remove(slots[i]);
  EXPECT_EQ(held.size(), 300u);
  held.close_all();
  for (size_t i = 0; i < 600; ++i) {
    EXPECT_EQ(fcntl(owned[i].get(), F_GETFD) >= 0, i % 2 == 0);
    if (i % 2 == 1) (void)owned[i].release();
  }
}

void fork_and_abandon(std::unique_ptr<Loop> loop) {
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    loop->abandon_after_fork();
    (void)loop.release();
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  bool served = false;
  ASSERT_TRUE(loop->post([&] { served = true; }));
  EXPECT_TRUE(run_until(*loop, [&] { return served; }));
}

TEST(Loop, AbandonedInAForkedChildLeavesTheParentAlone) {
  fork_and_abandon(make_loop());
  fork_and_abandon(make_loop_for_many());
}

INSTANTIATE_TEST_SUITE_P(Loops, EachLoop, ::testing::Values(LoopKind::usual, LoopKind::many), EachLoop::name);

}  // namespace
}  // namespace smartvpn::net
