// A client of a Unix socket that says what it likes. Every wait is bounded.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

namespace smartvpn::testing_support {

class UnixClient {
 public:
  static constexpr int kPatienceMs = 20000;

  explicit UnixClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
    error_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  }
  UnixClient(const UnixClient&) = delete;
  UnixClient& operator=(const UnixClient&) = delete;
  ~UnixClient() { ::close(fd_); }

  int error() const { return error_; }  // of connecting, or 0
  // False: the other side has gone.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n < 0) return false;
      text.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  void finish_sending() { ::shutdown(fd_, SHUT_WR); }
  // Up to and with `mark`, or what there was when the stream ended or the time was over.
  std::string read_through(std::string_view mark) {
    std::string out;
    while (out.find(mark) == std::string::npos && read_some(out)) continue;
    return out;
  }
  std::string ask(std::string_view request) {
    send(request);
    return read_through("\n\n");
  }
  // What comes until the other side ends the stream; false if it does not.
  bool reads_end(std::string* out = nullptr) {
    std::string text;
    while (read_some(text)) continue;
    if (out) *out = text;
    return ended_;
  }

 private:
  bool read_some(std::string& out) {
    pollfd ready{fd_, POLLIN, 0};
    if (::poll(&ready, 1, kPatienceMs) <= 0) return false;
    char buffer[65536];
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    ended_ = n <= 0;
    if (n > 0) out.append(buffer, static_cast<size_t>(n));
    return n > 0;
  }

  int fd_;
  int error_ = 0;
  bool ended_ = false;
};

}  // namespace smartvpn::testing_support
