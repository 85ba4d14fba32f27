// Listener and connector against each other and against plain sockets, on loopback.
#include "net/tcp_listener.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "net/sockaddr.hpp"
#include "support/tcp_pair.hpp"

namespace smartvpn::net {
namespace {

using testing::run_until;
using TcpListening = testing::TcpPair;

TEST_F(TcpListening, DualStackListenerShowsIpv4PeersAsIpv4) {
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

TEST_F(TcpListening, PausedListenerLeavesConnectionsInTheBacklog) {
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

TEST_F(TcpListening, OutOfDescriptorsPausesInsteadOfSpinning) {
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

// What a socket is joined to needs a descriptor too: a relay that took clients until none was left would lose them all.
TEST_F(TcpListening, ASocketToBeJoinedComesWithADescriptorForTheOther) {
  std::vector<std::pair<Fd, Fd>> taken;
  ListenOptions options;
  options.address = "127.0.0.1";
  auto made = TcpListener::listen_sockets(*loop, options, [&](Fd fd, Fd& spare, const inet::Endpoint&) {
    taken.emplace_back(std::move(fd), std::move(spare));
  });
  ASSERT_TRUE(made.ok());
  std::vector<int> pressures;
  (*made)->on_pressure([&](int error) { pressures.push_back(error); });
  auto to = to_socket_address((*made)->local());
  std::vector<Fd> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(connect(clients.back().get(), to.get(), to.size), 0);
  }
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<Fd> free_numbers;
  for (int i = 0; i < 2; ++i) free_numbers.emplace_back(fcntl(clients[0].get(), F_DUPFD_CLOEXEC, 0));
  const rlimit two{static_cast<rlim_t>(free_numbers.back().get()) + 1, before.rlim_max};
  free_numbers.clear();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &two), 0);
  const bool pressed = run_until(*loop, [&] { return !pressures.empty(); });
  const size_t count = taken.size();
  bool joined = false;
  if (count == 1) {
    taken[0].second.reset();
    const Fd other(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    joined = static_cast<bool>(other);
  }
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(pressed);
  EXPECT_EQ(count, 1u) << "of two, with two descriptors";
  EXPECT_TRUE(joined);
  ASSERT_TRUE(run_until(*loop, [&] { return taken.size() == 2; })) << "accepting resumes by itself";
  EXPECT_TRUE(taken[1].second);
}

TEST_F(TcpListening, ListenerMayBeDestroyedWhileItAccepts) {
  listen_on("127.0.0.1");
  auto at = to_socket_address(listener->local());
  auto other = TcpListener::adopt(
      *loop,
      [&] {
        Fd s(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        return s.release();
      }(),
      [](auto) {});
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

TEST_F(TcpListening, AdoptsADuplicateAndTheHostKeepsItsOwn) {
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

TEST_F(TcpListening, RefusesWhatItCannotListenOnWithThePath) {
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

TEST_F(TcpListening, ConnectorTriesAddressesInTurn) {
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

TEST_F(TcpListening, ConnectorTimesOutOnASilentAddress) {
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
  TcpConnector connector(*loop, options,
                         [&](auto result) { status = result.ok() ? Status::EXISTS : result.error().status; });
  EXPECT_TRUE(run_until(*loop, [&] { return status != Status::OK; }));
  EXPECT_EQ(status, Status::TIMEOUT);
}

TEST_F(TcpListening, CancelledConnectorSaysNothing) {
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
