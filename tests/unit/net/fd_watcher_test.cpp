// What a watcher of a socket tells, and that it never keeps a loop busy with what it has told.
#include "net/fd_watcher.hpp"

#include <sys/socket.h>

#include "support/pumped_pair.hpp"

namespace smartvpn::net {
namespace {

using smartvpn::testing::FarEnd;
using smartvpn::testing::LoopKind;
using smartvpn::testing::run_until;
using smartvpn::testing::tcp_sockets;

struct Hearing : FdHandler {
  int readable = 0, writable = 0, errors = 0, hangups = 0;
  std::function<void()> on_hangup_do;
  void on_readable() override { ++readable; }
  void on_writable() override { ++writable; }
  void on_fd_error() override { ++errors; }
  void on_hangup() override {
    ++hangups;
    if (on_hangup_do) on_hangup_do();
  }
};

struct FdWatching : smartvpn::testing::WithEachLoop {
  FdWatching() {
    auto [ours, there] = tcp_sockets();
    far = std::move(there);
    watcher = std::move(*FdWatcher::create(*loop, std::move(ours), heard));
  }
  int turns_in(Duration time) {
    bool over = false;
    Timer timer(*loop, [&over] { over = true; });
    timer.start_in(time);
    int turns = 0;
    while (!over) {
      loop->run_turn();
      ++turns;
    }
    return turns;
  }
  std::unique_ptr<Loop> loop = make();
  Hearing heard;
  FarEnd far;
  std::unique_ptr<FdWatcher> watcher;
};

TEST_P(FdWatching, WatchedForHangupAloneItHearsOfFinBehindBytesAndOfReset) {
  watcher->watch(false, false, true);
  far.send("unread");
  turns_in(milliseconds(5));
  EXPECT_EQ(heard.hangups, 0);
  heard.on_hangup_do = [&] { watcher->watch(false, false, false, true); };
  far.finish();
  EXPECT_TRUE(run_until(*loop, [&] { return heard.hangups > 0; }));
  EXPECT_LT(turns_in(milliseconds(30)), 10);
  EXPECT_EQ(heard.hangups, 1);
  EXPECT_EQ(heard.readable + heard.writable + heard.errors, 0);
  far.reset();
  EXPECT_TRUE(run_until(*loop, [&] { return heard.errors > 0; }));
  EXPECT_LT(turns_in(milliseconds(30)), 10);
  EXPECT_EQ(heard.errors, 1);
}

TEST_P(FdWatching, WatchedForAnErrorAloneItHearsOfNothingElse) {
  watcher->watch(false, false, false, true);
  far.send("unread");
  EXPECT_LT(turns_in(milliseconds(30)), 10);
  far.reset();
  EXPECT_TRUE(run_until(*loop, [&] { return heard.errors > 0; }));
  EXPECT_EQ(heard.errors, 1);
  EXPECT_EQ(heard.readable + heard.writable + heard.hangups, 0);
}

// epoll tells of it whether one asks or not.
TEST_P(FdWatching, ASocketThatIsShutBothWaysDoesNotKeepTheLoopBusy) {
  ::shutdown(watcher->fd(), SHUT_WR);
  far.finish();
  turns_in(milliseconds(5));
  watcher->watch(false, false, false, true);
  EXPECT_LT(turns_in(milliseconds(30)), 10);
  EXPECT_EQ(heard.errors, 0);
}

TEST_P(FdWatching, AnUrgentByteDoesNotKeepTheLoopBusy) {
  watcher->watch(false, false, false, true);
  ASSERT_EQ(::send(far.fd(), "!", 1, MSG_OOB), 1);
  EXPECT_LT(turns_in(milliseconds(30)), 10);
  EXPECT_EQ(heard.errors, 0);
}

TEST_P(FdWatching, AnErrorBesideAnUrgentByteIsToldOf) {
  ASSERT_EQ(::send(far.fd(), "!", 1, MSG_OOB), 1);
  far.reset();
  turns_in(milliseconds(5));
  watcher->watch(false, false, false, true);
  EXPECT_TRUE(run_until(*loop, [&] { return heard.errors > 0; }));
}

TEST_P(FdWatching, ADescriptorThatWasReleasedIsNoConcernOfTheOldWatcher) {
  watcher->watch(true, false);
  Fd fd = watcher->release();
  EXPECT_TRUE(fd);
  EXPECT_EQ(watcher->fd(), -1);
  Hearing next;
  auto second = std::move(*FdWatcher::create(*loop, std::move(fd), next));
  second->watch(true, false);
  turns_in(milliseconds(1));
  watcher.reset();
  far.send("x");
  EXPECT_TRUE(run_until(
      *loop, [&] { return next.readable > 0; }, seconds(2)));
  EXPECT_EQ(heard.readable, 0);
}

TEST_P(FdWatching, AHandlerThatIsReplacedHearsNoMore) {
  Hearing next;
  watcher->watch(true, false);
  far.send("x");
  watcher->set_handler(next);
  EXPECT_TRUE(run_until(*loop, [&] { return next.readable > 0; }));
  EXPECT_EQ(heard.readable, 0);
}

// Both ways of watching keep the same promises.
INSTANTIATE_TEST_SUITE_P(Loops, FdWatching, ::testing::Values(LoopKind::usual, LoopKind::many), FdWatching::name);

}  // namespace
}  // namespace smartvpn::net
