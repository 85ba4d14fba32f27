// See unix_listener.hpp. Two programs that find a dead socket at once would each remove what the other has just made,
// so that is done under a lock on a file beside it, which is its owner's alone and is removed again.
#include "net/unix_listener.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/descriptor.hpp"

namespace smartvpn::net {
namespace {

constexpr int kUnixBacklog = 16;

Fd new_unix_socket() noexcept {
  return Fd(above_standard(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
}

constexpr int kLockTries = 100;  // against those who remove theirs at that moment
constexpr int kBindTries = 5;    // against who takes a socket for dead before it listens, as `wg` does

class SocketLock {
 public:
  explicit SocketLock(const std::string& path) : path_(path + ".lock") {}
  ~SocketLock() {
    if (fd_) ::unlink(path_.c_str());
  }
  // An errno, or 0.
  int take() noexcept {
    for (int i = 0; i < kLockTries; ++i) {
      Fd fd(above_standard(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)));
      if (!fd) return errno;
      if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return errno == EWOULDBLOCK ? EBUSY : errno;
      struct stat held {
      }, there{};
      const bool same = ::fstat(fd.get(), &held) == 0 && ::lstat(path_.c_str(), &there) == 0 &&
                        held.st_ino == there.st_ino && held.st_dev == there.st_dev;
      if (!same) continue;
      fd_ = std::move(fd);
      return 0;
    }
    return EBUSY;
  }

 private:
  const std::string path_;
  Fd fd_;
};

// Removes a socket on which nobody listens any more. An errno, or 0.
int clear_the_way(const std::string& path, const sockaddr_un& address) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return errno == ENOENT ? 0 : errno;
  if (!S_ISSOCK(found.st_mode)) return EEXIST;
  const Fd probe = new_unix_socket();
  if (!probe) return errno;
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return EBUSY;
  if (errno == EAGAIN) return EBUSY;  // its backlog is full
  if (errno != ECONNREFUSED) return errno;
  return ::unlink(path.c_str()) == 0 || errno == ENOENT ? 0 : errno;
}

// The mode of the descriptor becomes the file's: at no moment can others connect. An errno, or 0.
int bind_privately(int fd, const std::string& path, const sockaddr_un& address) {
  if (::fchmod(fd, 0600) != 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return errno;
  if (::listen(fd, kUnixBacklog) == 0) return 0;
  const int error = errno;
  ::unlink(path.c_str());
  return error;
}

}  // namespace

UnixListener::UnixListener(Loop& loop, std::string path, OnAccept on_accept)
    : loop_(loop), path_(std::move(path)), on_accept_(std::move(on_accept)), pressure_over_(loop, [this] {
        pressed_ = false;
        update_watch();
      }) {}

UnixListener::~UnixListener() {
  struct stat found {};
  if (!place_.inode || ::lstat(path_.c_str(), &found) != 0) return;
  if (found.st_ino == place_.inode && found.st_dev == place_.device) ::unlink(path_.c_str());
}

Result<std::unique_ptr<UnixListener>> UnixListener::listen(Loop& loop, const std::string& path, OnAccept on_accept,
                                                           const std::string& config_path) {
  const std::string doing = "cannot listen on " + path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() > kMaxPath || path.size() >= sizeof address.sun_path)
    return system_error(ENAMETOOLONG, doing, config_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  std::unique_ptr<UnixListener> listener(new UnixListener(loop, path, std::move(on_accept)));
  SocketLock lock(path);
  if (const int error = lock.take(); error != 0) return system_error(error, doing, config_path);
  Fd socket;
  for (int i = 0; i < kBindTries && !listener->place_.inode; ++i) {
    socket = new_unix_socket();
    int error = socket ? clear_the_way(path, address) : errno;
    if (error == 0) error = bind_privately(socket.get(), path, address);
    if (error != 0) return system_error(error, doing, config_path);
    struct stat made {};
    if (::lstat(path.c_str(), &made) == 0) listener->place_ = {made.st_dev, made.st_ino};
  }
  if (!listener->place_.inode) return system_error(ENOENT, doing, config_path);

  auto watcher = FdWatcher::create(loop, std::move(socket), *listener);
  if (!watcher) return std::move(watcher).error();
  listener->watcher_ = std::move(*watcher);
  listener->update_watch();
  return listener;
}

void UnixListener::on_readable() {
  Fd fd(above_standard(::accept4(watcher_->fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)));
  if (!fd) {
    const bool nobody = errno == EAGAIN || errno == EWOULDBLOCK || errno == ECONNABORTED || errno == EINTR;
    if (!nobody) press();
    return;
  }
  auto stream = TcpStream::adopt(loop_, std::move(fd));
  if (!stream) return press();
  on_accept_(std::move(*stream));
}

void UnixListener::press() noexcept {
  pressed_ = true;
  update_watch();
  pressure_over_.start_in(kPressurePause);
}

void UnixListener::pause(bool on) noexcept {
  paused_ = on;
  update_watch();
}

void UnixListener::update_watch() noexcept { watcher_->watch(!paused_ && !pressed_, false); }

}  // namespace smartvpn::net
