// The set in itself: what it tells, of whom, and what it keeps from the kernel. As watchers use it: fd_watcher_test.
#include "net/poll_set.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <vector>

#include "support/pumped_pair.hpp"

namespace smartvpn::net {
namespace {

using smartvpn::testing::FarEnd;
using smartvpn::testing::tcp_sockets;

struct Watched : PollSet::Item {
  explicit Watched(PollSet& in) : set(in) {
    auto [ours, there] = tcp_sockets();
    fd = std::move(ours);
    far = std::move(there);
    set.join(*this);
  }
  ~Watched() override { leave(); }
  void leave() {
    if (!left) set.forget(*this, true);
    left = true;
  }
  void on_ready(uint32_t events) noexcept override {
    told.push_back(events);
    if (then) then();
  }
  void want(uint32_t events) { set.want(*this, fd.get(), events); }
  PollSet& set;
  Fd fd;
  FarEnd far;
  std::vector<uint32_t> told;
  std::function<void()> then;
  bool left = false;
};

struct Polling : ::testing::Test {
  Polling() { EXPECT_EQ(set.open(), 0); }
  PollSet set;
};

TEST_F(Polling, TellsWhatIsWantedAndAgainUntilItIsTaken) {
  Watched one(set);
  one.far.send("x");
  one.want(EPOLLIN);
  set.wait(1000);
  set.wait(1000);
  EXPECT_EQ(one.told, (std::vector<uint32_t>{EPOLLIN, EPOLLIN}));
  one.want(EPOLLOUT);
  set.wait(1000);
  EXPECT_EQ(one.told.back(), uint32_t{EPOLLOUT});
}

TEST_F(Polling, WhatIsWantedNoLongerIsToldNeitherNowNorLater) {
  Watched one(set);
  one.want(EPOLLIN);
  set.wait(0);
  one.far.send("x");
  set.want_nothing(one);
  set.wait(50);  // met, and the kernel is told
  set.wait(50);
  EXPECT_TRUE(one.told.empty());
  one.want(EPOLLIN);
  set.wait(1000);
  EXPECT_EQ(one.told.size(), 1u);
}

TEST_F(Polling, WhoIsForgottenByAnotherIsNotToldWhatHasComeAlready) {
  auto first = std::make_unique<Watched>(set), second = std::make_unique<Watched>(set);
  int told = 0;
  for (auto* each : {first.get(), second.get()}) {
    each->far.send("x");
    each->want(EPOLLIN);
    each->then = [&, each] {
      ++told;
      (each == first.get() ? second : first).reset();
    };
  }
  set.wait(1000);
  EXPECT_EQ(told, 1);
}

TEST_F(Polling, MayForgetItselfInItsCallback) {
  Watched one(set);
  one.far.send("x");
  one.want(EPOLLIN);
  one.then = [&] { one.leave(); };
  set.wait(1000);
  set.wait(20);
  EXPECT_EQ(one.told.size(), 1u);
}

// A child that was forked has the socket still, and for epoll it is there. Its slot is another's by then.
TEST_F(Polling, WhatIsClosedHereAndOpenElsewhereIsToldToNobodyAndNotForEver) {
  auto one = std::make_unique<Watched>(set);
  Watched bystander(set);
  one->want(EPOLLIN);
  bystander.want(EPOLLIN);
  set.wait(0);
  const Fd elsewhere(::dup(one->fd.get()));
  FarEnd far = std::move(one->far);
  one.reset();
  far.send("x");
  Watched next(set);
  next.want(EPOLLIN);
  set.wait(1000);
  EXPECT_TRUE(next.told.empty());
  set.wait(0);
  epoll_event event{};
  EXPECT_EQ(::epoll_wait(set.fd(), &event, 1, 0), 0) << "the loop would never rest";
  bystander.far.send("x");
  next.far.send("x");
  set.wait(1000);
  EXPECT_EQ(bystander.told.size(), 1u);
  EXPECT_EQ(next.told.size(), 1u);
}

TEST_F(Polling, WhatGoesOnWithoutTheSetIsTakenOut) {
  Watched one(set);
  one.want(EPOLLIN);
  set.wait(0);
  set.forget(one, false);
  one.left = true;
  one.far.send("x");
  epoll_event event{};
  EXPECT_EQ(::epoll_wait(set.fd(), &event, 1, 50), 0);
}

TEST_F(Polling, AnErrorStateIsToldUnasked) {
  Watched one(set);
  one.want(0);
  set.wait(0);
  one.far.reset();
  set.wait(1000);
  ASSERT_EQ(one.told.size(), 1u);
  EXPECT_NE(one.told[0] & EPOLLERR, 0u);
}

TEST_F(Polling, WhatTheKernelDoesNotTakeIsToldAsAnError) {
  Watched one(set);
  const int closed = ::dup(one.fd.get());
  ::close(closed);
  set.want(one, closed, EPOLLIN);
  set.wait(0);
  EXPECT_EQ(one.told, (std::vector<uint32_t>{EPOLLERR}));
}

TEST_F(Polling, MoreThanABatchIsToldOverTurns) {
  std::vector<std::unique_ptr<Watched>> all;
  for (int i = 0; i < 300; ++i) {
    all.push_back(std::make_unique<Watched>(set));
    all.back()->far.send("x");
    all.back()->want(EPOLLIN);
    all.back()->then = [&set = set, one = all.back().get()] { set.want_nothing(*one); };
  }
  for (int i = 0; i < 20; ++i) set.wait(0);
  for (const auto& one : all) EXPECT_EQ(one->told.size(), 1u);
}

}  // namespace
}  // namespace smartvpn::net
