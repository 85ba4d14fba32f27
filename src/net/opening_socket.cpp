// See opening_socket.hpp.
#include "net/opening_socket.hpp"

#include <sys/socket.h>

#include <cerrno>

#include "net/sockaddr.hpp"

namespace smartvpn::net {

Result<std::unique_ptr<OpeningSocket>> OpeningSocket::create(Loop& loop, Fd fd, Handler& handler) {
  std::unique_ptr<OpeningSocket> socket(new OpeningSocket(loop, handler));
  auto watcher = FdWatcher::create(loop, std::move(fd), *socket);
  if (!watcher) return std::move(watcher).error();
  socket->watcher_ = std::move(*watcher);
  return socket;
}

OpeningSocket::~OpeningSocket() = default;

inet::Endpoint OpeningSocket::local() const noexcept { return local_endpoint(watcher_->fd()); }

void OpeningSocket::reset() noexcept {
  if (watcher_) reset_on_close(*watcher_);
  watcher_.reset();
}

std::unique_ptr<FdWatcher> OpeningSocket::release() noexcept {
  watcher_->watch(false, false);
  return std::move(watcher_);
}

void OpeningSocket::on_readable() {
  ByteSpan room = loop_.read_buffer();
  const ssize_t n = ::recv(watcher_->fd(), room.data(), room.size(), MSG_DONTWAIT);
  if (n > 0) return handler_.on_opening_bytes(room.first(static_cast<size_t>(n)));
  if (n == 0) return ended(0);
  if (errno != EAGAIN && errno != EINTR) ended(errno);
}

void OpeningSocket::on_fd_error() {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(watcher_->fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error == 0) error = ECONNRESET;
  ended(error);
}

void OpeningSocket::ended(int error) {
  read_stop();
  handler_.on_opening_end(error);
}

void reset_on_close(FdWatcher& socket) noexcept {
  const linger at_once{1, 0};
  setsockopt(socket.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

bool connects_to_itself(const FdWatcher& socket, const inet::Endpoint& peer) noexcept {
  const auto local = local_endpoint(socket.fd());
  return local && local.ip == peer.ip;
}

}  // namespace smartvpn::net
