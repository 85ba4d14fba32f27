// Listener, stream and connector against each other and against plain sockets, on loopback, both families.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <deque>
#include <random>

#include "net/sockaddr.hpp"
#include "net/tcp_connector.hpp"
#include "net/tcp_listener.hpp"
#include "net/tcp_stream.hpp"
#include "support/loop_runner.hpp"

namespace smartvpn::net {
namespace {

using testing::make_loop;
using testing::run_until;

// Records what a stream says.
struct Recorder : TcpStream::Handler {
  std::string bytes;
  int writable = 0;
  std::vector<int> ends;
  std::function<void()> on_bytes, on_end;
  void on_stream_bytes(ByteSpan b) override {
    bytes.append(reinterpret_cast<const char*>(b.data()), b.size());
    if (on_bytes) on_bytes();
  }
  void on_stream_writable() override { ++writable; }
  void on_stream_end(int error) override {
    ends.push_back(error);
    if (on_end) on_end();
  }
};

struct Tcp : ::testing::TestWithParam<const char*> {
  std::unique_ptr<Loop> loop = make_loop();
  std::unique_ptr<TcpListener> listener;
  std::deque<std::unique_ptr<TcpStream>> accepted;
  std::unique_ptr<TcpStream> dialled, answered;
  Recorder near, far;

  void listen_on(const char* address) {
    ListenOptions options;
    options.address = address;
    auto made = TcpListener::listen(*loop, options, [this](auto stream) { accepted.push_back(std::move(stream)); });
    ASSERT_TRUE(made.ok()) << made.error().text;
    listener = std::move(*made);
    ASSERT_NE(listener->local().port, 0);
  }

  // A connected pair: `dialled` heard by near, `answered` by far.
  void connect_pair(const char* address = "127.0.0.1") {
    listen_on(address);
    bool done = false;
    ConnectOptions options;
    options.addresses = {listener->local()};
    TcpConnector connector(*loop, options, [&](auto result) {
      done = true;
      ASSERT_TRUE(result.ok()) << result.error().text;
      dialled = std::move(*result);
    });
    ASSERT_TRUE(run_until(*loop, [&] { return done && !accepted.empty(); }));
    answered = std::move(accepted.front());
    accepted.pop_front();
    dialled->start(near);
    answered->start(far);
  }
};

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

using TcpTest = Tcp;

TEST_F(TcpTest, DualStackListenerShowsIpv4PeersAsIpv4) {
  listen_on("::");
  bool done = false;
  ConnectOptions options;
  options.addresses = {{*inet::IpAddress::parse("127.0.0.1"), listener->local().port}};
  TcpConnector connector(*loop, options, [&](auto result) {
    done = true;
    if (result.ok()) dialled = std::move(*result);
  });
  ASSERT_TRUE(run_until(*loop, [&] { return done && !accepted.empty(); }));
  EXPECT_EQ(accepted.front()->peer().ip.text(), "127.0.0.1");
}

TEST_F(TcpTest, FinIsToldOnceAndWritingGoesOn) {
  connect_pair();
  dialled->shutdown_write();
  ASSERT_TRUE(run_until(*loop, [&] { return !far.ends.empty(); }));
  EXPECT_EQ(far.ends, std::vector<int>{0});
  EXPECT_TRUE(answered->is_open());
  EXPECT_EQ(answered->try_write(as_bytes("late")), 4u);
  EXPECT_TRUE(run_until(*loop, [&] { return near.bytes == "late"; }));
}

TEST_F(TcpTest, ResetSendsRst) {
  connect_pair();
  dialled->reset();
  EXPECT_FALSE(dialled->is_open());
  ASSERT_TRUE(run_until(*loop, [&] { return !far.ends.empty(); }));
  EXPECT_EQ(far.ends, std::vector<int>{ECONNRESET});
  EXPECT_TRUE(near.ends.empty());
}

TEST_F(TcpTest, WritingToAClosedPeerEndsWithAnErrorAndNoSignal) {
  struct sigaction before {}, fatal {};
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

TEST_F(TcpTest, ShortWriteIsFollowedByWritableOnceThePeerReads) {
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

TEST_F(TcpTest, PacketsAreTakenWholeAndArriveInOrder) {
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

TEST_F(TcpTest, PendingPastItsBoundEndsTheStream) {
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

TEST_F(TcpTest, StreamMayBeDestroyedInItsCallbacks) {
  connect_pair();
  far.on_bytes = [&] { answered.reset(); };
  near.on_end = [&] { dialled.reset(); };
  dialled->try_write(as_bytes("x"));
  EXPECT_TRUE(run_until(*loop, [&] { return !answered && !dialled; }));
}

TEST_F(TcpTest, HandlerOutOfMemoryEndsOnlyThatStream) {
  connect_pair();
  far.on_bytes = [] { throw std::bad_alloc(); };
  dialled->try_write(as_bytes("x"));
  ASSERT_TRUE(run_until(*loop, [&] { return !far.ends.empty(); }));
  EXPECT_EQ(far.ends, std::vector<int>{ENOMEM});
  EXPECT_EQ(loop->contained_exceptions(), 1u);
}

TEST_F(TcpTest, DescriptorsAreCloseOnExec) {
  connect_pair();
  // Everything this process opened above stderr; the test runner's own are older.
  size_t held = loop->descriptors().size();
  EXPECT_GE(held, 8u);  // loop 5, listener, two streams
  dialled.reset();
  EXPECT_EQ(loop->descriptors().size(), held - 1);
}

TEST_F(TcpTest, PausedListenerLeavesConnectionsInTheBacklog) {
  listen_on("127.0.0.1");
  listener->pause();
  bool done = false;
  ConnectOptions options;
  options.addresses = {listener->local()};
  TcpConnector connector(*loop, options, [&](auto result) {
    done = true;
    if (result.ok()) dialled = std::move(*result);
  });
  ASSERT_TRUE(run_until(*loop, [&] { return done; }));
  EXPECT_TRUE(accepted.empty());
  listener->resume();
  EXPECT_TRUE(run_until(*loop, [&] { return !accepted.empty(); }));
}

TEST_F(TcpTest, OutOfDescriptorsPausesInsteadOfSpinning) {
  listen_on("127.0.0.1");
  std::vector<int> pressures;
  listener->on_pressure([&](int error) { pressures.push_back(error); });
  Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto to = to_socket_address(listener->local());
  ASSERT_EQ(connect(client.get(), to.get(), to.size), 0);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  Fd lowest(fcntl(client.get(), F_DUPFD_CLOEXEC, 0));
  rlimit none{static_cast<rlim_t>(lowest.get()), before.rlim_max};  // the next number is over the limit
  lowest.reset();
  // Every number below the limit is taken once this one is.
  Fd filler(fcntl(client.get(), F_DUPFD_CLOEXEC, 0));
  none.rlim_cur = static_cast<rlim_t>(filler.get()) + 1;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  bool ok = run_until(*loop, [&] { return !pressures.empty(); });
  int turns = 0;
  if (ok) run_until(*loop, [&] { return pressures.size() > 1 || ++turns > 1000; });
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(ok);
  EXPECT_EQ(pressures.front(), EMFILE);
  EXPECT_TRUE(accepted.empty());
  EXPECT_LT(turns, 10) << "the loop turned without the pause";
  EXPECT_TRUE(run_until(*loop, [&] { return !accepted.empty(); })) << "accepting resumes by itself";
}

TEST_F(TcpTest, ListenerMayBeDestroyedWhileItAccepts) {
  listen_on("127.0.0.1");
  auto at = to_socket_address(listener->local());
  auto other = TcpListener::adopt(*loop, [&] {
    Fd s(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return s.release();
  }(), [](auto) {});
  EXPECT_FALSE(other.ok());  // not listening
  ListenOptions options;
  options.address = "127.0.0.1";
  std::unique_ptr<TcpListener> self;
  int count = 0;
  auto made = TcpListener::listen(*loop, options, [&](auto) {
    ++count;
    self.reset();
  });
  ASSERT_TRUE(made.ok());
  self = std::move(*made);
  at = to_socket_address(self->local());
  Fd one(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), two(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(one.get(), at.get(), at.size), 0);
  ASSERT_EQ(connect(two.get(), at.get(), at.size), 0);
  EXPECT_TRUE(run_until(*loop, [&] { return !self; }));
  EXPECT_EQ(count, 1);
}

TEST_F(TcpTest, AdoptsADuplicateAndTheHostKeepsItsOwn) {
  Fd host(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto any = to_socket_address({*inet::IpAddress::parse("127.0.0.1"), 0});
  ASSERT_EQ(bind(host.get(), any.get(), any.size), 0);
  ASSERT_EQ(::listen(host.get(), 5), 0);
  auto made = TcpListener::adopt(*loop, host.get(), [this](auto s) { accepted.push_back(std::move(s)); });
  ASSERT_TRUE(made.ok()) << made.error().text;
  EXPECT_EQ((*made)->local(), local_endpoint(host.get()));
  Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto to = to_socket_address((*made)->local());
  ASSERT_EQ(connect(client.get(), to.get(), to.size), 0);
  EXPECT_TRUE(run_until(*loop, [&] { return !accepted.empty(); }));
  made->reset();
  EXPECT_GE(fcntl(host.get(), F_GETFD), 0);
}

TEST_F(TcpTest, RefusesWhatItCannotListenOnWithThePath) {
  ListenOptions options;
  options.address = "not an address";
  options.path = "/listen/0/address";
  auto bad = TcpListener::listen(*loop, options, [](auto) {});
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().status, Status::INVALID);
  EXPECT_EQ(bad.error().path, "/listen/0/address");
  listen_on("127.0.0.1");
  options.address = "127.0.0.1";
  options.port = listener->local().port;
  auto taken = TcpListener::listen(*loop, options, [](auto) {});
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().system_errno, EADDRINUSE);
  EXPECT_FALSE(TcpListener::adopt(*loop, -1, [](auto) {}).ok());
}

TEST_F(TcpTest, ConnectorTriesAddressesInTurn) {
  listen_on("127.0.0.1");
  inet::Endpoint closed;
  {
    Fd unused(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    auto any = to_socket_address({*inet::IpAddress::parse("127.0.0.1"), 0});
    ASSERT_EQ(bind(unused.get(), any.get(), any.size), 0);
    closed = local_endpoint(unused.get());
  }
  ConnectOptions options;
  options.addresses = {closed, listener->local()};
  bool done = false;
  TcpConnector connector(*loop, options, [&](auto result) {
    done = true;
    ASSERT_TRUE(result.ok()) << result.error().text;
    EXPECT_EQ((*result)->peer(), listener->local());
  });
  EXPECT_TRUE(run_until(*loop, [&] { return done; }));
  Status status = Status::OK;
  options.addresses = {closed};
  TcpConnector failing(*loop, options, [&](auto result) {
    EXPECT_FALSE(result.ok());
    if (!result.ok()) {
      status = result.error().status;
      EXPECT_EQ(result.error().system_errno, ECONNREFUSED);
    }
  });
  EXPECT_TRUE(run_until(*loop, [&] { return status != Status::OK; }));
  EXPECT_EQ(status, Status::SYSTEM);
}

TEST_F(TcpTest, ConnectorTimesOutOnASilentAddress) {
  // A full backlog of a listener nobody accepts from leaves SYNs unanswered.
  Fd silent(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto any = to_socket_address({*inet::IpAddress::parse("127.0.0.1"), 0});
  ASSERT_EQ(bind(silent.get(), any.get(), any.size), 0);
  ASSERT_EQ(::listen(silent.get(), 0), 0);
  auto to = to_socket_address(local_endpoint(silent.get()));
  std::vector<Fd> fill;
  for (int i = 0; i < 8; ++i) {
    fill.emplace_back(Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
    (void)!connect(fill.back().get(), to.get(), to.size);
  }
  ConnectOptions options;
  options.addresses = {local_endpoint(silent.get())};
  options.attempt_timeout = milliseconds(20);
  options.timeout = milliseconds(50);
  Status status = Status::OK;
  TcpConnector connector(*loop, options, [&](auto result) {
    status = result.ok() ? Status::EXISTS : result.error().status;
  });
  EXPECT_TRUE(run_until(*loop, [&] { return status != Status::OK; }));
  EXPECT_EQ(status, Status::TIMEOUT);
}

TEST_F(TcpTest, CancelledConnectorSaysNothing) {
  listen_on("127.0.0.1");
  bool called = false;
  ConnectOptions options;
  options.addresses = {listener->local()};
  auto connector = std::make_unique<TcpConnector>(*loop, options, [&](auto) { called = true; });
  connector.reset();
  bool passed = false;
  Timer later(*loop, [&] { passed = true; });
  later.start_in(milliseconds(5));
  EXPECT_TRUE(run_until(*loop, [&] { return passed; }));
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace smartvpn::net
