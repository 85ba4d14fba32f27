// See tcp_listener.hpp.
#include "net/tcp_listener.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/descriptor.hpp"
#include "net/scarcity.hpp"
#include "net/sockaddr.hpp"

namespace smartvpn::net {
namespace {

bool set_flag(int fd, int level, int name, int value) { return setsockopt(fd, level, name, &value, sizeof value) == 0; }

Result<Fd> open_socket(inet::Endpoint& at, const std::string& path) {
  int family = at.ip.is_v4() ? AF_INET : AF_INET6;
  Fd fd(above_standard(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
  if (!fd && errno == EAFNOSUPPORT && at.ip.is_v6() && at.ip.is_unspecified()) {
    at.ip = inet::IpAddress::v4(0);
    fd.reset(above_standard(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
  }
  if (!fd) return system_error(errno, "cannot open a TCP socket", path);
  return fd;
}

}  // namespace

TcpListener::TcpListener(Loop& loop, OnAccept on_accept, OnSocket on_socket)
    : loop_(loop), on_accept_(std::move(on_accept)), on_socket_(std::move(on_socket)), pressure_over_(loop, [this] {
        pressed_ = false;
        update_watch();
      }) {}

TcpListener::~TcpListener() = default;

Result<std::unique_ptr<TcpListener>> TcpListener::listen(Loop& loop, const ListenOptions& options, OnAccept on_accept) {
  auto fd = bound(options);
  if (!fd) return fd.error();
  return make(loop, std::move(*fd), std::move(on_accept), {});
}

Result<std::unique_ptr<TcpListener>> TcpListener::listen_sockets(Loop& loop, const ListenOptions& options,
                                                                 OnSocket on_socket) {
  auto fd = bound(options);
  if (!fd) return fd.error();
  set_flag(fd->get(), IPPROTO_TCP, TCP_NODELAY, 1);  // which those that are accepted inherit
  return make(loop, std::move(*fd), {}, std::move(on_socket));
}

Result<Fd> TcpListener::bound(const ListenOptions& options) {
  auto ip = inet::IpAddress::parse(options.address);
  if (!ip) return make_error(Status::INVALID, "not an IP address: " + options.address, options.path);
  inet::Endpoint at{*ip, options.port};
  auto fd = open_socket(at, options.path);
  if (!fd) return fd.error();
  set_flag(fd->get(), SOL_SOCKET, SO_REUSEADDR, 1);
  auto share = [&] { return set_flag(fd->get(), SOL_SOCKET, SO_REUSEPORT, 1); };
  if (options.sharing == PortSharing::join && !share()) return system_error(errno, "cannot share a port", options.path);
  // Said either way, because the host's default is a sysctl.
  if (at.ip.is_v6()) set_flag(fd->get(), IPPROTO_IPV6, IPV6_V6ONLY, at.ip.is_unspecified() ? 0 : 1);
  auto address = to_socket_address(at);
  if (::bind(fd->get(), address.get(), address.size) != 0)
    return system_error(errno, "cannot bind " + at.text(), options.path);
  if (options.sharing == PortSharing::found && !share())
    return system_error(errno, "cannot share a port", options.path);
  if (::listen(fd->get(), options.backlog) != 0)
    return system_error(errno, "cannot listen on " + at.text(), options.path);
  return fd;
}

Result<std::unique_ptr<TcpListener>> TcpListener::adopt(Loop& loop, int fd, OnAccept on_accept, std::string path) {
  int type = 0, listening = 0;
  socklen_t size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0)
    return system_error(errno, "not a socket: descriptor " + std::to_string(fd), std::move(path));
  size = sizeof listening;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0) listening = 0;
  if (type != SOCK_STREAM || !listening || !local_endpoint(fd))
    return make_error(Status::INVALID, "not a listening TCP socket: descriptor " + std::to_string(fd), std::move(path));
  Fd ours = Fd::duplicate_of(fd);
  if (!ours) return system_error(errno, "cannot duplicate a descriptor", std::move(path));
  return make(loop, std::move(ours), std::move(on_accept), {});
}

Result<std::unique_ptr<TcpListener>> TcpListener::make(Loop& loop, Fd fd, OnAccept on_accept, OnSocket on_socket) {
  std::unique_ptr<TcpListener> listener(new TcpListener(loop, std::move(on_accept), std::move(on_socket)));
  listener->local_ = local_endpoint(fd.get());
  if (listener->on_socket_) listener->spare_ = spare_descriptor();
  auto watcher = FdWatcher::create(loop, std::move(fd), *listener);
  if (!watcher) return watcher.error();
  listener->watcher_ = std::move(*watcher);
  listener->update_watch();
  return listener;
}

void TcpListener::on_readable() {
  std::weak_ptr<bool> alive = alive_;  // a callback may destroy the listener
  for (int i = 0; i < kAcceptsPerTurn && !alive.expired() && accepting(); ++i) {
    if (on_socket_ && !spare_ && !(spare_ = spare_descriptor())) return press(errno);
    SocketAddress peer;
    peer.size = sizeof peer.storage;
    Fd fd(above_standard(::accept4(watcher_->fd(), peer.get(), &peer.size, SOCK_CLOEXEC | SOCK_NONBLOCK)));
    if (fd) {
      accepted(std::move(fd), to_endpoint(peer.get(), peer.size));
    } else if (is_scarcity(errno)) {
      press(errno);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    }
    // Any other error is one connection's own misfortune; the next may be well.
  }
}

void TcpListener::accepted(Fd fd, const inet::Endpoint& peer) {
  if (on_socket_) return on_socket_(std::move(fd), spare_, peer);
  auto stream = TcpStream::adopt(loop_, std::move(fd), peer);
  if (!stream) return press(stream.error().system_errno);
  on_accept_(std::move(*stream));
}

void TcpListener::press(int error) {
  pressed_ = true;
  spare_.reset();  // who needs it more may have it
  update_watch();
  pressure_over_.start_in(kPressurePause);
  if (on_pressure_) on_pressure_(error);
}

// A listening socket has no error state of its own; should the kernel report one, try again later.
void TcpListener::on_fd_error() { press(EIO); }

void TcpListener::on_out_of_memory() noexcept {
  try {
    press(ENOMEM);
  } catch (...) {
    pressed_ = false;
    update_watch();
  }
}

void TcpListener::pause() noexcept {
  paused_ = true;
  update_watch();
}

void TcpListener::resume() noexcept {
  paused_ = false;
  update_watch();
}

void TcpListener::update_watch() noexcept { watcher_->watch(accepting(), false); }

}  // namespace smartvpn::net
