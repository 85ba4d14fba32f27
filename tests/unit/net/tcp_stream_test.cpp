// Streams against each other on loopback, both families.
#include "net/tcp_stream.hpp"

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <random>

#include "net/sockaddr.hpp"
#include "support/tcp_pair.hpp"

namespace smartvpn::net {
namespace {

using testing::run_until;
using testing::StreamRecorder;
using TcpStreaming = testing::TcpPair;

struct Tcp : testing::TcpPair, ::testing::WithParamInterface<const char*> {};

TEST_P(Tcp, CarriesBytesBothWaysAndKnowsItsEnds) {
  connect_pair(GetParam());
  EXPECT_EQ(dialled->peer(), listener->local());
  EXPECT_EQ(dialled->local(), answered->peer());
  EXPECT_EQ(dialled->try_write(as_bytes("hello")), 5u);
  EXPECT_EQ(answered->try_write(as_bytes("world!")), 6u);
  EXPECT_TRUE(run_until(*loop, [&] { return far.bytes == "hello" && near.bytes == "world!"; }));
  ASSERT_TRUE(dialled->info().has_value());
  EXPECT_GT(dialled->info()->segments_out, 0u);
}
INSTANTIATE_TEST_SUITE_P(Families, Tcp, ::testing::Values("127.0.0.1", "::1"),
                         [](auto& param) { return std::string(param.index == 0 ? "IPv4" : "IPv6"); });

TEST_F(TcpStreaming, StrangersShareAShortTimeOfEachTurnAndOthersAreReadInEveryTurn) {
  listen_on("127.0.0.1");
  constexpr size_t kStrangers = 3;
  std::vector<Fd> peers;
  StreamRecorder heard[kStrangers + 1];
  auto to = to_socket_address(listener->local());
  for (StreamRecorder& one : heard) {
    peers.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(connect(peers.back().get(), to.get(), to.size), 0);
    // What each costs is more than all may take.
    one.on_bytes = [] {
      for (Time until = monotonic_now() + 2 * Loop::kStrangersTime; monotonic_now() < until;) continue;
    };
  }
  ASSERT_TRUE(run_until(*loop, [&] { return accepted.size() == kStrangers + 1; }));
  for (size_t i = 0; i <= kStrangers; ++i) {
    accepted[i]->set_stranger(i < kStrangers);
    accepted[i]->start(heard[i]);
    ASSERT_EQ(send(peers[i].get(), "x", 1, MSG_NOSIGNAL), 1);
  }
  auto strangers_heard = [&] {
    size_t count = 0;
    for (size_t i = 0; i < kStrangers; ++i) count += heard[i].bytes.size();
    return count;
  };
  for (size_t turn = 1; turn <= kStrangers; ++turn) {
    ASSERT_EQ(send(peers[kStrangers].get(), "x", 1, MSG_NOSIGNAL), 1);
    loop->run_turn();
    EXPECT_EQ(strangers_heard(), turn) << "one each turn, and nobody is forgotten";
    EXPECT_GE(heard[kStrangers].bytes.size(), turn);
  }
}

TEST_F(TcpStreaming, OfVeryManyStrangersWhoComeTooLateEachIsReadInTheEnd) {
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  listen_on("127.0.0.1");
  constexpr size_t kStrangers = 900;
  std::vector<Fd> peers;
  std::vector<StreamRecorder> heard(kStrangers);
  auto to = to_socket_address(listener->local());
  for (StreamRecorder& one : heard) {
    peers.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(connect(peers.back().get(), to.get(), to.size), 0);
    one.on_bytes = [] {
      for (Time until = monotonic_now() + Loop::kStrangersTime; monotonic_now() < until;) continue;
    };
    ASSERT_TRUE(run_until(*loop, [&] { return accepted.size() == peers.size(); }));
  }
  for (size_t i = 0; i < kStrangers; ++i) {
    accepted[i]->set_stranger(true);
    accepted[i]->start(heard[i]);
    ASSERT_EQ(send(peers[i].get(), "x", 1, MSG_NOSIGNAL), 1);
  }
  EXPECT_TRUE(run_until(*loop, [&] {
    return std::all_of(heard.begin(), heard.end(), [](const StreamRecorder& one) { return !one.bytes.empty(); });
  }));
}

// A handler that wants its bytes in a place of its own.
struct GapRecorder : testing::StreamRecorder {
  std::string place = std::string(8, '-');
  size_t filled = 0;
  std::string rest;
  ByteSpan stream_gap() noexcept override {
    return {reinterpret_cast<uint8_t*>(place.data()) + filled, place.size() - filled};
  }
  void on_stream_gap(size_t n, ByteSpan more) override {
    filled += n;
    rest.append(as_text(more));
  }
};

TEST_F(TcpStreaming, AGapIsFilledFirstAndTheRestFollowsIt) {
  connect_pair();
  GapRecorder handler;
  answered->start(handler);
  ASSERT_EQ(dialled->try_write(as_bytes("abc")), 3u);
  ASSERT_TRUE(run_until(*loop, [&] { return handler.filled == 3; }));
  EXPECT_EQ(handler.place, "abc-----");
  EXPECT_EQ(handler.rest, "");
  ASSERT_EQ(dialled->try_write(as_bytes("defghijkl")), 9u);
  ASSERT_TRUE(run_until(*loop, [&] { return handler.rest.size() == 4; }));
  EXPECT_EQ(handler.place, "abcdefgh");
  EXPECT_EQ(handler.rest, "ijkl");
  ASSERT_EQ(dialled->try_write(as_bytes("mno")), 3u);
  ASSERT_TRUE(run_until(*loop, [&] { return handler.bytes.size() == 3; }));
  EXPECT_EQ(handler.bytes, "mno") << "no gap any more";
  answered.reset();
}

TEST_F(TcpStreaming, FinIsToldOnceAndWritingGoesOn) {
  connect_pair();
  dialled->shutdown_write();
  ASSERT_TRUE(run_until(*loop, [&] { return !far.ends.empty(); }));
  EXPECT_EQ(far.ends, std::vector<int>{0});
  EXPECT_TRUE(answered->is_open());
  EXPECT_EQ(answered->try_write(as_bytes("late")), 4u);
  EXPECT_TRUE(run_until(*loop, [&] { return near.bytes == "late"; }));
}

TEST_F(TcpStreaming, ResetSendsRst) {
  connect_pair();
  dialled->reset();
  EXPECT_FALSE(dialled->is_open());
  ASSERT_TRUE(run_until(*loop, [&] { return !far.ends.empty(); }));
  EXPECT_EQ(far.ends, std::vector<int>{ECONNRESET});
  EXPECT_TRUE(near.ends.empty());
}

TEST_F(TcpStreaming, WritingToAClosedPeerEndsWithAnErrorAndNoSignal) {
  struct sigaction before {
  }, fatal{};
  fatal.sa_handler = SIG_DFL;  // SIGPIPE would end this process
  sigaction(SIGPIPE, &fatal, &before);
  connect_pair();
  answered.reset();
  auto write_again = [&] {
    dialled->try_write(as_bytes("x"));
    return !near.ends.empty() && near.ends.back() != 0;
  };
  EXPECT_TRUE(run_until(*loop, write_again));
  EXPECT_TRUE(near.ends.back() == EPIPE || near.ends.back() == ECONNRESET) << near.ends.back();
  EXPECT_FALSE(dialled->is_open());
  EXPECT_EQ(dialled->try_write(as_bytes("x")), 0u);
  sigaction(SIGPIPE, &before, nullptr);
}

TEST_F(TcpStreaming, ShortWriteIsFollowedByWritableOnceThePeerReads) {
  connect_pair();
  answered->read_stop();
  Bytes block(65536, 'x');
  size_t sent = 0, taken = 0;
  do {
    taken = dialled->try_write(block);
    sent += taken;
  } while (taken == block.size());
  EXPECT_EQ(near.writable, 0);
  answered->read_start();
  ASSERT_TRUE(run_until(*loop, [&] { return near.writable > 0 && far.bytes.size() == sent; }));
  EXPECT_EQ(near.writable, 1);
}

TEST_F(TcpStreaming, PacketsAreTakenWholeAndArriveInOrder) {
  connect_pair();
  PacketPool pool;
  answered->read_stop();
  std::string expected;
  std::mt19937 random(1);
  bool drained = true;
  for (int i = 0; drained || i < 300; ++i) {
    std::vector<Packet> batch;
    for (size_t k = 0; k < 1 + i % 100u; ++k) {
      Packet packet = pool.take(random() % 3000);
      for (auto& b : packet.bytes()) b = static_cast<uint8_t>(random());
      expected.append(reinterpret_cast<const char*>(packet.bytes().data()), packet.size());
      batch.push_back(std::move(packet));
    }
    drained = dialled->write(batch);
    if (!drained) break;
  }
  ASSERT_FALSE(drained);
  EXPECT_GT(dialled->pending_bytes(), 0u);
  EXPECT_EQ(dialled->try_write(as_bytes("overtaking")), 0u) << "nothing passes what is pending";
  dialled->shutdown_write();
  answered->read_start();
  ASSERT_TRUE(run_until(*loop, [&] { return !far.ends.empty(); }));
  EXPECT_EQ(far.ends.back(), 0);
  EXPECT_EQ(dialled->pending_bytes(), 0u);
  EXPECT_TRUE(far.bytes == expected);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  EXPECT_EQ(near.writable, 1);
}

TEST_F(TcpStreaming, PendingPastItsBoundEndsTheStream) {
  connect_pair();
  PacketPool pool;
  answered->read_stop();
  for (int i = 0; i < 400 && near.ends.empty(); ++i) {
    std::vector<Packet> batch;
    batch.push_back(pool.take(60000));
    std::memset(batch[0].bytes().data(), 0, 60000);
    dialled->write(batch);
    if (!dialled->is_open()) break;
  }
  ASSERT_TRUE(run_until(*loop, [&] { return !near.ends.empty(); }));
  EXPECT_EQ(near.ends, std::vector<int>{ENOBUFS});
  dialled.reset();
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST_F(TcpStreaming, StreamMayBeDestroyedInItsCallbacks) {
  connect_pair();
  far.on_bytes = [&] { answered.reset(); };
  near.on_end = [&] { dialled.reset(); };
  dialled->try_write(as_bytes("x"));
  EXPECT_TRUE(run_until(*loop, [&] { return !answered && !dialled; }));
}

TEST_F(TcpStreaming, HandlerOutOfMemoryEndsOnlyThatStream) {
  connect_pair();
  far.on_bytes = [] { throw std::bad_alloc(); };
  dialled->try_write(as_bytes("x"));
  ASSERT_TRUE(run_until(*loop, [&] { return !far.ends.empty(); }));
  EXPECT_EQ(far.ends, std::vector<int>{ENOMEM});
  EXPECT_EQ(loop->contained_exceptions(), 1u);
}

TEST_F(TcpStreaming, DescriptorsAreCloseOnExec) {
  connect_pair();
  // Everything this process opened above stderr; the test runner's own are older.
  size_t held = loop->descriptors().size();
  EXPECT_GE(held, 8u);  // loop 5, listener, two streams
  dialled.reset();
  EXPECT_EQ(loop->descriptors().size(), held - 1);
}

}  // namespace
}  // namespace smartvpn::net
