// Two far ends, a client and a target, joined by a TcpPump on loopback, with a recorder of what it tells.
#pragma once

#include <dirent.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "net/tcp_pump.hpp"
#include "support/loop_runner.hpp"

namespace smartvpn::testing {

// Bytes that repeat nowhere near.
inline std::string numbered(size_t size, unsigned seed) {
  std::string out(size, 0);
  std::mt19937 random(seed);
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

// How many descriptors there are of each kind: "pipe", "socket" and so on.
inline std::map<std::string, int> descriptors() {
  std::map<std::string, int> count;
  DIR* folder = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(folder)) {
    char to[256];
    const std::string path = "/proc/self/fd/" + std::string(entry->d_name);
    const ssize_t n = readlink(path.c_str(), to, sizeof to);
    const std::string kind(to, n > 0 ? static_cast<size_t>(n) : 0);
    ++count[kind.substr(0, kind.find(':'))];
  }
  closedir(folder);
  return count;
}

// What somebody far away does with its socket. Nothing waits.
class FarEnd {
 public:
  static constexpr int kOpen = -1, kFin = 0;

  FarEnd() = default;
  explicit FarEnd(net::Fd fd) : fd_(std::move(fd)) {}
  int fd() const noexcept { return fd_.get(); }

  // How many bytes were taken.
  size_t send(std::string_view text) {
    const ssize_t n = ::send(fd(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return n > 0 ? static_cast<size_t>(n) : 0;
  }
  // As much of `text` behind `sent` as is taken, at most `piece`; counts it.
  void push(std::string_view text, size_t& sent, size_t piece = size_t{1} << 20) {
    sent += send(text.substr(sent, piece));
  }
  // Everything that is there, or up to `most`, behind what came before.
  const std::string& read(size_t most = SIZE_MAX) {
    char buffer[65536];
    while (most > 0) {
      const ssize_t n = ::recv(fd(), buffer, std::min(most, sizeof buffer), MSG_DONTWAIT);
      if (n <= 0) {
        if (n == 0) ending_ = kFin;
        if (n < 0 && errno != EAGAIN) ending_ = errno;
        break;
      }
      got_.append(buffer, static_cast<size_t>(n));
      most -= static_cast<size_t>(n);
    }
    return got_;
  }
  const std::string& got() const noexcept { return got_; }
  // kOpen, kFin or an errno, as of the last read().
  int ending() const noexcept { return ending_; }
  void finish() { ::shutdown(fd(), SHUT_WR); }
  void close() { fd_.reset(); }
  void reset() {
    const linger at_once{1, 0};
    setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }

 private:
  net::Fd fd_;
  std::string got_;
  int ending_ = kOpen;
};

// Ours, which does not wait, and the far one. `buffer` bounds what the kernel keeps towards the far one.
inline std::pair<net::Fd, FarEnd> tcp_sockets(int family = AF_INET, int buffer = 0) {
  const net::Fd listening(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage at{};
  socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  at.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET)
    reinterpret_cast<sockaddr_in*>(&at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  else
    reinterpret_cast<sockaddr_in6*>(&at)->sin6_addr = IN6ADDR_LOOPBACK_INIT;
  EXPECT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&at), size), 0);
  EXPECT_EQ(::listen(listening.get(), 1), 0);
  getsockname(listening.get(), reinterpret_cast<sockaddr*>(&at), &size);
  net::Fd far(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (buffer != 0) setsockopt(far.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  EXPECT_EQ(::connect(far.get(), reinterpret_cast<sockaddr*>(&at), size), 0);
  net::Fd ours(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (buffer != 0) setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  const int one = 1;
  setsockopt(ours.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(far.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return {std::move(ours), FarEnd(std::move(far))};
}

struct PumpedPair : ::testing::Test, net::Pump::Handler {
  using Side = net::PumpSide;
  static constexpr int kSmall = 16 * 1024;  // for `buffer`

  // As every thread of ours that runs a loop: splice(2) has no MSG_NOSIGNAL.
  PumpedPair() { signal(SIGPIPE, SIG_IGN); }

  void on_pump_end(const net::PumpEnd& how) override {
    ends.push_back(how);
    if (when_ended) when_ended();
  }
  void on_pump_half_closed(Side side) override {
    halves.push_back(side);
    if (when_half_closed) when_half_closed();
  }
  Look on_pump_first_bytes(ByteView bytes) override {
    looks.emplace_back(as_text(bytes));
    return look(bytes);
  }
  void on_pump_refused() override {
    ++refused;
    if (when_refused) when_refused();
  }

  // Not started.
  void make(net::TcpPump::Options options = {}, int buffer = 0, int family = AF_INET) {
    auto [client_end, client_far] = tcp_sockets(family, buffer);
    auto [target_end, target_far] = tcp_sockets(family, buffer);
    client = std::move(client_far);
    target = std::move(target_far);
    client_socket = client_end.get();
    target_socket = target_end.get();
    auto watched = [&](net::Fd fd) { return std::move(*net::FdWatcher::create(*loop, std::move(fd), nobody)); };
    pump = std::make_unique<net::TcpPump>(*loop, watched(std::move(client_end)), watched(std::move(target_end)), pipes,
                                          static_cast<net::Pump::Handler&>(*this), options);
  }
  void join(net::TcpPump::Options options = {}, int buffer = 0, int family = AF_INET) {
    make(options, buffer, family);
    pump->start({});
  }
  void forget() {
    pump.reset();
    ends.clear();
    halves.clear();
    looks.clear();
    refused = 0;
  }

  FarEnd& far(Side side) { return side == Side::client ? client : target; }
  static Side other(Side side) { return side == Side::client ? Side::target : Side::client; }

  // Turns the loop until `done()`, which is asked again at least every millisecond, because we are the far ends, too.
  template <class Done>
  bool until(Done&& done, Duration limit = seconds(20)) {
    net::Timer tick(*loop, [&tick] { tick.start_in(milliseconds(1)); });
    tick.start_in(milliseconds(1));
    return run_until(*loop, done, limit);
  }
  // How often the loop turned in that time. It does so twice or so where nothing happens.
  int turns_in(Duration time) {
    bool over = false;
    net::Timer timer(*loop, [&over] { over = true; });
    timer.start_in(time);
    int turns = 0;
    while (!over) {
      loop->run_turn();
      ++turns;
    }
    return turns;
  }
  // Everything that is under way has arrived.
  void settle() { turns_in(milliseconds(3)); }
  // Sends of `text` until nobody takes more for a while. The number of bytes.
  size_t stuff(FarEnd& from, std::string_view text) {
    size_t sent = 0;
    for (int quiet = 0; quiet < 10;) {
      const size_t before = sent;
      from.push(text, sent);
      quiet = sent == before ? quiet + 1 : 0;
      turns_in(milliseconds(1));
    }
    return sent;
  }
  // Until the far end has seen how the stream ends.
  bool reads_to_end(FarEnd& end) {
    return until([&] {
      end.read();
      return end.ending() != FarEnd::kOpen;
    });
  }
  bool has_ended(Duration limit = seconds(20)) {
    return until([&] { return !ends.empty(); }, limit);
  }

  struct : net::FdHandler {
    void on_readable() override { ADD_FAILURE(); }
    void on_fd_error() override { ADD_FAILURE(); }
  } nobody;
  std::unique_ptr<net::Loop> loop = make_loop_for_many();
  net::PipePool pipes{loop->descriptors()};
  FarEnd client, target;
  int client_socket = -1, target_socket = -1;  // the pump's ends
  std::unique_ptr<net::TcpPump> pump;
  std::vector<net::PumpEnd> ends;
  std::vector<Side> halves;
  std::vector<std::string> looks;
  std::function<Look(ByteView)> look = [](ByteView) { return Look::pass; };
  int refused = 0;
  std::function<void()> when_ended, when_half_closed, when_refused;
};

}  // namespace smartvpn::testing
