// A plain UDP socket of a test's: it knows no protocol, and says what no well-behaved peer says. Every wait is bounded.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "net/sockaddr.hpp"

namespace smartvpn::testing_support {

class RawUdp {
 public:
  static constexpr int kPatienceMs = 20000;

  explicit RawUdp(const char* ip = "127.0.0.1", uint16_t port = 0) {
    const inet::Endpoint at{*inet::IpAddress::parse(ip), port};
    fd_ = ::socket(at.ip.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int buffer = 8 << 20;
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    const int one = 1;
    setsockopt(fd_, IPPROTO_IP, IP_RECVTOS, &one, sizeof one);
    const auto name = net::to_socket_address(at);
    EXPECT_EQ(::bind(fd_, name.get(), name.size), 0) << at.text();
  }
  RawUdp(RawUdp&& other) noexcept : from(other.from), fd_(std::exchange(other.fd_, -1)) {}
  ~RawUdp() { close(); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int fd() const { return fd_; }
  inet::Endpoint local() const { return net::local_endpoint(fd_); }
  uint16_t port() const { return local().port; }

  bool send(const inet::Endpoint& to, ByteView bytes) {
    const auto name = net::to_socket_address(to);
    return ::sendto(fd_, bytes.data(), bytes.size(), 0, name.get(), name.size) == static_cast<ssize_t>(bytes.size());
  }
  bool send(const inet::Endpoint& to, std::string_view text) { return send(to, as_bytes(text)); }
  // To that port of this host.
  bool send(uint16_t port, std::string_view text) { return send(port, as_bytes(text)); }
  bool send(uint16_t port, ByteView bytes) { return send({inet::IpAddress::v4(0x7f000001), port}, bytes); }

  bool has_one(int patience_ms) const {
    pollfd ready{fd_, POLLIN, 0};
    return ::poll(&ready, 1, patience_ms) == 1;
  }
  // The next datagram, and `from` whom; "nothing came" after the time.
  std::string read(int patience_ms = kPatienceMs) {
    if (!has_one(patience_ms)) return "nothing came";
    std::string out(65536, '\0');
    net::SocketAddress name;
    iovec piece{out.data(), out.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_name = name.get();
    message.msg_namelen = sizeof name.storage;
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(fd_, &message, 0);
    if (size < 0) return "an error came";
    from = net::to_endpoint(name.get(), message.msg_namelen);
    const cmsghdr* tos = CMSG_FIRSTHDR(&message);
    ecn = tos ? *CMSG_DATA(tos) & 3 : 0;
    out.resize(static_cast<size_t>(size));
    return out;
  }
  // To whom the last one came from.
  bool answer(std::string_view text) { return send(from, text); }

  // The ECN bits of what is sent from now on; IPv4.
  void mark(int bits) { setsockopt(fd_, IPPROTO_IP, IP_TOS, &bits, sizeof bits); }

  inet::Endpoint from;
  int ecn = 0;  // of the last one; IPv4

 private:
  int fd_ = -1;
};

}  // namespace smartvpn::testing_support
