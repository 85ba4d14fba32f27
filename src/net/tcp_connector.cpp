// See tcp_connector.hpp.
#include "net/tcp_connector.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "base/descriptor.hpp"
#include "net/scarcity.hpp"
#include "net/sockaddr.hpp"

namespace smartvpn::net {

TcpConnector::TcpConnector(Loop& loop, ConnectOptions options, Done done)
    : TcpConnector(loop, std::move(options), Socket{},
                   [&loop, done = std::move(done)](Result<std::unique_ptr<FdWatcher>> socket) {
                     if (!socket) return done(std::move(socket).error());
                     Fd fd = (*socket)->release();
                     socket->reset();  // or it would take the number out of epoll under the next
                     // Who waits is told also of what fails here: `done` has no other caller any more.
                     Result<std::unique_ptr<TcpStream>> stream = Error{Status::NO_MEMORY, {}, 0, {}};
                     try {
                       stream = TcpStream::adopt(loop, std::move(fd));
                     } catch (const std::bad_alloc&) {
                     }
                     done(std::move(stream));
                   }) {}

// What cannot even be begun is told by the timer, so that `done` never runs inside the constructor.
TcpConnector::TcpConnector(Loop& loop, ConnectOptions options, Socket socket, SocketDone done)
    : loop_(loop),
      options_(std::move(options)),
      done_(std::move(done)),
      give_up_(loop.now() + options_.timeout),
      last_error_(make_error(Status::INVALID, "no address to connect to")),
      spare_(socket.spare),
      timer_(loop, [this] { on_attempt_timeout(); }) {
  try {
    if (begin_attempt()) return;
  } catch (const std::bad_alloc&) {
    watcher_.reset();
    last_error_ = Error{Status::NO_MEMORY, {}, 0, {}};
  }
  timer_.start_at(loop.now());
}

TcpConnector::~TcpConnector() = default;

// Whoever waits for a connection has no deadline but ours, so every attempt ends in an answer.
template <class Fn>
void TcpConnector::guarded(Fn&& fn) {
  try {
    return fn();
  } catch (const std::bad_alloc&) {
    watcher_.reset();
  }
  if (done_) finish(Error{Status::NO_MEMORY, {}, 0, {}});
}

void TcpConnector::on_attempt_timeout() {
  guarded([this] { try_next(); });
}

void TcpConnector::try_next() {
  if (watcher_) last_error_ = make_error(Status::TIMEOUT, "no answer from " + options_.addresses[index_ - 1].text());
  next();
}

void TcpConnector::next() {
  watcher_.reset();
  if (!begin_attempt()) finish(std::move(last_error_));
}

// At the next address that takes one. False: there is none left, or no time.
bool TcpConnector::begin_attempt() {
  while (index_ < options_.addresses.size() && loop_.now() < give_up_) {
    const auto& to = options_.addresses[index_++];
    auto address = to_socket_address(to);
    const int family = to.ip.is_v4() ? AF_INET : AF_INET6;
    Fd fd = open_socket(family);
    if (!fd || (::connect(fd.get(), address.get(), address.size) != 0 && errno != EINPROGRESS)) {
      last_error_ = system_error(errno, "cannot connect to " + to.text());
      continue;
    }
    auto watcher = FdWatcher::create(loop_, std::move(fd), *this);
    if (!watcher) {
      last_error_ = watcher.error();
      continue;
    }
    watcher_ = std::move(*watcher);
    watcher_->watch(false, true);
    timer_.start_at(std::min(loop_.now() + options_.attempt_timeout, give_up_));
    return true;
  }
  return false;
}

Fd TcpConnector::open_socket(int family) noexcept {
  const auto open = [family] { return ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); };
  Fd fd(above_standard(open()));
  if (fd || !spare_ || !*spare_ || !is_scarcity(errno)) return fd;
  spare_->reset();
  return Fd(above_standard(open()));
}

// A socket that has failed says so as an error state.
void TcpConnector::on_writable() {
  guarded([this] { settle(); });
}

void TcpConnector::settle() {
  const int one = 1;
  setsockopt(watcher_->fd(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  watcher_->watch(false, false);
  finish(std::move(watcher_));
}

void TcpConnector::on_fd_error() {
  guarded([this] {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(watcher_->fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    fail(system_error(error != 0 ? error : ECONNRESET, "cannot connect to " + connected_to().text()));
  });
}

void TcpConnector::fail(Error error) {
  last_error_ = std::move(error);
  next();
}

void TcpConnector::finish(Result<std::unique_ptr<FdWatcher>> result) {
  timer_.stop();
  SocketDone done = std::move(done_);  // the callback may destroy us
  done(std::move(result));
}

}  // namespace smartvpn::net
