// A TCP client that knows no protocol: for saying what a well-behaved peer never says. Every wait is
// bounded; whoever waits in vain sees Ending::open.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "base/bytes.hpp"
#include "base/clock.hpp"

namespace smartvpn::testing_support {

// How the peer's half of the stream ended so far.
enum class Ending { open, fin, reset };

class RawSocket {
 public:
  static constexpr int kPatienceMs = 20000;

  explicit RawSocket(uint16_t port, const std::string& from = "127.0.0.1") : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sockaddr_in own = address(from, 0), server = address("127.0.0.1", port);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&server), sizeof server), 0);
  }
  // One that somebody has accepted.
  static RawSocket of(int fd) { return RawSocket(Adopted{fd}); }
  RawSocket(RawSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        unread_(std::move(other.unread_)),
        ending_(other.ending_),
        sent_into_reset_(other.sent_into_reset_) {}
  ~RawSocket() { close(); }

  // Whether all of it went out; false when the peer has reset the connection.
  bool send(ByteView bytes) {
    while (!bytes.empty()) {
      ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0) {
        sent_into_reset_ = sent_into_reset_ || errno == ECONNRESET;  // told once, so not to who reads
        return false;
      }
      bytes = bytes.subspan(static_cast<size_t>(n));
    }
    return true;
  }
  bool send(std::string_view text) { return send(as_bytes(text)); }
  // One segment a byte, as far as TCP lets one say so.
  void send_slowly(ByteView bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) send(bytes.subspan(i, 1));
  }
  void finish_sending() { ::shutdown(fd_, SHUT_WR); }
  void reset() {
    linger at_once{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  // Exactly `size` bytes; fewer when the stream ended or the time is over.
  std::string read(size_t size, int patience_ms = kPatienceMs) {
    fill(size, patience_ms);
    return take(size);
  }
  // Up to and with `mark`; everything there is when it never comes.
  std::string read_through(std::string_view mark, int patience_ms = kPatienceMs) {
    size_t at;
    for (size_t want = mark.size(); (at = unread_.find(mark)) == std::string::npos; want = unread_.size() + 1)
      if (!fill(want, patience_ms)) return take(unread_.size());
    return take(at + mark.size());
  }
  // All that comes until the peer ends the stream; ending() tells how.
  std::string read_to_end(int patience_ms = kPatienceMs) {
    fill(SIZE_MAX, patience_ms);
    return take(unread_.size());
  }
  Ending ending() const { return ending_; }
  int fd() const { return fd_; }

 private:
  struct Adopted {
    int fd;
  };
  explicit RawSocket(Adopted adopted) : fd_(adopted.fd) {}
  static sockaddr_in address(const std::string& ip, uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    inet_pton(AF_INET, ip.c_str(), &out.sin_addr);
    return out;
  }
  std::string take(size_t size) {
    std::string out = unread_.substr(0, size);
    unread_.erase(0, out.size());
    return out;
  }
  bool fill(size_t size, int patience_ms) {
    const Time until = monotonic_now() + milliseconds(patience_ms);
    while (unread_.size() < size && ending_ == Ending::open) {
      auto left = std::chrono::duration_cast<milliseconds>(until - monotonic_now()).count();
      pollfd ready{fd_, POLLIN, 0};
      if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) <= 0) return false;
      char buffer[4096];
      ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n > 0) unread_.append(buffer, static_cast<size_t>(n));
      if (n == 0) ending_ = sent_into_reset_ ? Ending::reset : Ending::fin;
      if (n < 0 && errno != EINTR) ending_ = Ending::reset;
    }
    return unread_.size() >= size;
  }

  int fd_;
  std::string unread_;
  Ending ending_ = Ending::open;
  bool sent_into_reset_ = false;
};

}  // namespace smartvpn::testing_support
