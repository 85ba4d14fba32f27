// The pump between two sockets: order, pressure, ends, and what it holds when nothing moves.
#include "net/tcp_pump.hpp"

#include <dirent.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>

#include "net/opening_socket.hpp"
#include "support/loop_runner.hpp"

namespace smartvpn::net {
namespace {

using smartvpn::testing::make_loop_for_many;
using smartvpn::testing::run_until;

// A connected pair of TCP sockets on loopback: ours, and the far one, which does not wait.
std::pair<Fd, Fd> socket_pair(int buffer = 0) {
  const Fd listening(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  EXPECT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  EXPECT_EQ(::listen(listening.get(), 1), 0);
  getsockname(listening.get(), reinterpret_cast<sockaddr*>(&at), &size);
  Fd far(::socket(AF_INET, SOCK_STREAM, 0));
  if (buffer != 0) setsockopt(far.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  EXPECT_EQ(::connect(far.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  Fd ours(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (buffer != 0) setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  return {std::move(ours), std::move(far)};
}

int count_descriptors() {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder)) ++count;
  closedir(folder);
  return count;
}

// Everything there is to read now; `error`: 0 for FIN, -1 while it goes on.
std::string read_all(int fd, int* error = nullptr) {
  std::string out;
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n > 0) {
      out.append(buffer, static_cast<size_t>(n));
      continue;
    }
    if (error) *error = n == 0 ? 0 : errno == EAGAIN ? -1 : errno;
    return out;
  }
}

std::string random_text(size_t size, unsigned seed) {
  std::string out(size, 0);
  std::mt19937 random(seed);
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

void turn_for(Loop& loop, Duration time) {
  bool over = false;
  Timer timer(loop, [&over] { over = true; });
  timer.start_in(time);
  while (!over) loop.run_turn();
}

void reset_socket(Fd& socket) {
  const linger at_once{1, 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  socket.reset();
}

struct TcpPumping : ::testing::Test, Pump::Handler {
  void on_pump_end(const PumpEnd& how) override { end = how; }
  void on_pump_half_closed(PumpSide side) override { halves.push_back(side); }
  Look on_pump_first_bytes(ByteView bytes) override {
    looks.push_back(std::string(as_text(bytes)));
    return look(bytes);
  }
  void on_pump_refused() override { refused = true; }

  void join(TcpPump::Options options = {}, Bytes first = {}, int buffer = 0) {
    auto [client_end, client_far] = socket_pair(buffer);
    auto [target_end, target_far] = socket_pair(buffer);
    client = std::move(client_far);
    target = std::move(target_far);
    auto watched = [&](Fd fd) { return std::move(*FdWatcher::create(*loop, std::move(fd), nobody)); };
    pump = std::make_unique<TcpPump>(*loop, watched(std::move(client_end)), watched(std::move(target_end)), pipes,
                                     static_cast<Pump::Handler&>(*this), options);
    pump->start(std::move(first));
  }
  // What the pump tells when it ends by `happens`.
  PumpEnd ended() {
    EXPECT_TRUE(run_until(*loop, [&] { return end.has_value(); }));
    const PumpEnd how = end.value_or(PumpEnd{});
    pump.reset();
    return how;
  }
  std::string collect(Fd& from, size_t size) {
    std::string got;
    EXPECT_TRUE(run_until(*loop, [&] {
      got += read_all(from.get());
      return got.size() >= size;
    })) << got.size();
    return got;
  }

  struct : FdHandler {
    void on_readable() override { ADD_FAILURE(); }
    void on_fd_error() override { ADD_FAILURE(); }
  } nobody;
  std::unique_ptr<Loop> loop = make_loop_for_many();
  PipePool pipes{loop->descriptors()};
  Fd client, target;
  std::unique_ptr<TcpPump> pump;
  std::optional<PumpEnd> end;
  std::vector<PumpSide> halves;
  std::vector<std::string> looks;
  std::function<Look(ByteView)> look = [](ByteView) { return Look::pass; };
  bool refused = false;
};

TEST_F(TcpPumping, MovesMegabytesBothWaysCopiedAndSpliced) {
  for (const bool splice : {true, false}) {
    TcpPump::Options options;
    options.splice = splice;
    join(options);
    const std::string up = random_text(5'000'001, 1), down = random_text(4'000'003, 2);
    std::string got_up, got_down;
    size_t sent_up = 0, sent_down = 0;
    bool held_a_pipe = false;
    // We are the far ends, too, and have something to do also where the pump has not.
    Timer tick(*loop, [&tick] { tick.start_in(milliseconds(1)); });
    tick.start_in(milliseconds(1));
    EXPECT_TRUE(run_until(*loop, [&] {
      auto push = [](Fd& to, const std::string& text, size_t& sent) {
        const ssize_t n = ::send(to.get(), text.data() + sent, text.size() - sent, MSG_DONTWAIT);
        if (n > 0) sent += static_cast<size_t>(n);
      };
      push(client, up, sent_up);
      push(target, down, sent_down);
      held_a_pipe |= pump->holds_pipe();
      got_up += read_all(target.get());
      got_down += read_all(client.get());
      return got_up.size() == up.size() && got_down.size() == down.size();
    }));
    EXPECT_TRUE(got_up == up && got_down == down);
    EXPECT_EQ(pump->bytes_from_client(), up.size());
    EXPECT_EQ(pump->bytes_from_target(), down.size());
    EXPECT_TRUE(splice ? pipes.idle() > 0 : !held_a_pipe);
    EXPECT_FALSE(pump->holds_pipe()) << "an idle pump holds nothing";
    pump.reset();
    end.reset();
  }
}

// A client that has gone without reading all leaves bytes of the target's behind, which are nobody's any more. The
// target's last words are those of the client, and then FIN: RST could cost it what it has not read yet.
TEST_F(TcpPumping, BytesThatNobodyTakesMakeNoResetOfAnEnd) {
  join({}, {}, 4096);
  const std::string much(64 * 1024, 'x'), more(8 * 1024, 'y');
  ASSERT_EQ(::send(target.get(), much.data(), much.size(), 0), static_cast<ssize_t>(much.size()));
  turn_for(*loop, milliseconds(20));
  ASSERT_LT(pump->bytes_from_target(), much.size()) << "the client reads nothing, so the rest waits";
  ASSERT_EQ(::send(target.get(), more.data(), more.size(), 0), static_cast<ssize_t>(more.size()));
  ASSERT_EQ(::send(client.get(), "bye", 3, 0), 3);
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_FALSE(ended().reset);
  std::string got;
  int error = -1;
  EXPECT_TRUE(run_until(*loop, [&] {
    got += read_all(target.get(), &error);
    return error != -1;
  }));
  EXPECT_EQ(got, "bye");
  EXPECT_EQ(error, 0);
}

// However much one side has to say, others have their turn.
TEST_F(TcpPumping, MovesSoMuchInATurnAndNoMore) {
  const auto take = [this] { return read_all(target.get()).size(); };
  for (const bool splice : {true, false}) {
    TcpPump::Options options;
    options.splice = splice;
    join(options, {}, 4 << 20);
    const std::string chunk(64 * 1024, 'x');
    size_t sent = 0;
    for (ssize_t n = 0; n >= 0; n = ::send(client.get(), chunk.data(), chunk.size(), MSG_DONTWAIT))
      sent += static_cast<size_t>(n);
    ASSERT_GT(sent, 2 * PumpDirection::kBytesPerTurn) << "the kernel gives this test too small buffers";
    loop->post([] {});
    loop->run_turn();
    loop->run_turn();
    const size_t moved = pump->bytes_from_client();
    EXPECT_LE(moved, 2 * (PumpDirection::kBytesPerTurn + 64 * 1024));
    size_t got = 0;
    EXPECT_TRUE(run_until(*loop, [&] { return (got += take()) == sent; })) << got << " of " << sent;
    pump.reset();
  }
}

TEST_F(TcpPumping, UrgentBytesNeitherEndItNorKeepItBusy) {
  join();
  Timer tick(*loop, [&tick] { tick.start_in(milliseconds(1)); });
  tick.start_in(milliseconds(1));
  const std::string chunk(200'000, 'x');
  size_t sent = 0, got = 0;
  for (int i = 0; i < 30; ++i) {
    const ssize_t n = ::send(client.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n > 0) sent += static_cast<size_t>(n);
    (void)::send(client.get(), "!", 1, MSG_OOB | MSG_DONTWAIT);
    turn_for(*loop, milliseconds(2));
    got += read_all(target.get()).size();
  }
  EXPECT_TRUE(run_until(*loop,
                        [&] {
                          got += read_all(target.get()).size();
                          return got >= sent;
                        }))
      << got << " of " << sent;
  tick.stop();
  EXPECT_FALSE(end) << "no byte of it is an end";
  timespec before{}, after{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  turn_for(*loop, milliseconds(200));
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  EXPECT_LT((after.tv_sec - before.tv_sec) * 1'000'000'000 + after.tv_nsec - before.tv_nsec, 100'000'000);
}

TEST_F(TcpPumping, WhatIsOwedGoesFirst) {
  join({}, Bytes{'o', 'w', 'e', 'd', ' '});
  ::send(client.get(), "then", 4, 0);
  EXPECT_EQ(collect(target, 9), "owed then");
}

TEST_F(TcpPumping, WhoDoesNotReadStopsTheOther) {
  join({}, {}, 16 * 1024);
  const std::string chunk(65536, 'x');
  size_t sent = 0, quiet = 0;
  while (quiet < 20) {
    const ssize_t n = ::send(client.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n > 0) sent += static_cast<size_t>(n);
    quiet = n > 0 ? 0 : quiet + 1;
    for (int i = 0; i < 3; ++i) turn_for(*loop, milliseconds(2));
  }
  EXPECT_LT(sent, 8u << 20) << "it does not gather what nobody takes";
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(collect(target, sent).size(), sent);
  EXPECT_EQ(ended().side, PumpSide::client);
}

TEST_F(TcpPumping, AResetIsNoticedWhileTheOtherSideIsFull) {
  join({}, {}, 16 * 1024);
  const std::string chunk(65536, 'x');
  for (int i = 0; i < 60; ++i) {
    (void)::send(client.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    turn_for(*loop, milliseconds(1));
  }
  reset_socket(client);
  const PumpEnd how = ended();
  EXPECT_TRUE(how.reset);
  EXPECT_EQ(how.side, PumpSide::client);
  int error = -1;
  while (error == -1) read_all(target.get(), &error);
  EXPECT_EQ(error, ECONNRESET);
}

TEST_F(TcpPumping, AFinThatCannotBeReadYetDoesNotKeepTheLoopBusy) {
  join({}, {}, 16 * 1024);
  const std::string chunk(65536, 'x');
  size_t sent = 0;
  for (int i = 0; i < 60; ++i) {
    const ssize_t n = ::send(client.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n > 0) sent += static_cast<size_t>(n);
    turn_for(*loop, milliseconds(1));
  }
  ::shutdown(client.get(), SHUT_WR);
  timespec before{}, after{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  turn_for(*loop, milliseconds(300));
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  const int64_t used = (after.tv_sec - before.tv_sec) * 1'000'000'000 + after.tv_nsec - before.tv_nsec;
  EXPECT_LT(used, 150'000'000) << "nanoseconds of the processor in 0.3 s of waiting";
  EXPECT_EQ(collect(target, sent).size(), sent);
  EXPECT_FALSE(ended().reset);
}

TEST_F(TcpPumping, EndsInOrderBehindTheLastByte) {
  for (Fd* who : {&client, &target}) {
    join();
    Fd& other = who == &client ? target : client;
    ::send(who->get(), "last words", 10, 0);
    ::shutdown(who->get(), SHUT_WR);
    EXPECT_EQ(collect(other, 10), "last words");
    const PumpEnd how = ended();
    EXPECT_FALSE(how.reset);
    EXPECT_EQ(how.side, who == &client ? PumpSide::client : PumpSide::target);
    int error = -1;
    while (error == -1) read_all(other.get(), &error);
    EXPECT_EQ(error, 0);
    end.reset();
  }
}

TEST_F(TcpPumping, HalfOpenPassesTheFinOnAndGoesOn) {
  TcpPump::Options options;
  options.half_open = true;
  join(options);
  ::shutdown(target.get(), SHUT_WR);
  ASSERT_TRUE(run_until(*loop, [&] { return !halves.empty(); }));
  EXPECT_EQ(halves, std::vector<PumpSide>{PumpSide::target});
  ::send(client.get(), "more", 4, 0);
  EXPECT_EQ(collect(target, 4), "more");
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(ended().side, PumpSide::target) << "who ended first";
}

TEST_F(TcpPumping, LooksAtTheFirstBytesAndMayRefuse) {
  TcpPump::Options options;
  options.look_first = true;
  look = [](ByteView bytes) { return bytes.size() < 3 ? Look::wait : Look::pass; };
  join(options);
  ::send(target.get(), "hello", 5, 0);
  EXPECT_EQ(collect(client, 5), "hello") << "the target may speak meanwhile";
  for (const char* byte : {"a", "b", "c"}) {
    ::send(client.get(), byte, 1, 0);
    const size_t seen = looks.size();
    ASSERT_TRUE(run_until(*loop, [&] { return looks.size() > seen; }));
  }
  EXPECT_EQ(looks, (std::vector<std::string>{"a", "ab", "abc"}));
  EXPECT_EQ(collect(target, 3), "abc");
  pump.reset();
  looks.clear();
  look = [](ByteView) { return Look::wait; };
  join(options);
  ::send(client.get(), "a", 1, 0);
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(collect(target, 1), "a") << "no more will come, so it was none";
  EXPECT_FALSE(ended().reset);
  end.reset();
  look = [](ByteView) { return Look::refuse; };
  join(options);
  ::send(client.get(), "a", 1, 0);
  ASSERT_TRUE(run_until(*loop, [&] { return refused; }));
  pump.reset();
  EXPECT_EQ(read_all(target.get()), "");
}

TEST_F(TcpPumping, NothingIsLeftOfThreeHundredThatEndAnyhow) {
  join();
  pump.reset();
  const int before = count_descriptors();
  std::mt19937 random(3);
  const std::string chunk(100'000, 'x');
  for (int i = 0; i < 300; ++i) {
    TcpPump::Options options;
    options.half_open = random() % 2 == 0;
    join(options);
    if (random() % 2 == 0) (void)::send(client.get(), chunk.data(), random() % chunk.size(), MSG_DONTWAIT);
    if (random() % 2 == 0) (void)::send(target.get(), chunk.data(), random() % chunk.size(), MSG_DONTWAIT);
    turn_for(*loop, milliseconds(0));
    Fd& who = random() % 2 == 0 ? client : target;
    if (random() % 3 == 0)
      reset_socket(who);
    else if (random() % 2 == 0)
      who.reset();
    else
      ::shutdown(who.get(), SHUT_WR);
    turn_for(*loop, milliseconds(1));
    pump.reset();
    end.reset();
    client.reset();
    target.reset();
  }
  turn_for(*loop, milliseconds(5));
  EXPECT_LE(count_descriptors(), before + 2 * static_cast<int>(pipes.idle()));
}

}  // namespace
}  // namespace smartvpn::net
