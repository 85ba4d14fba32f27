// See control_socket.hpp. A lock beside the socket says who is alive: the kernel drops it with its
// owner, however that ends, and two servers that start at once cannot both take over.
#include "control/control_socket.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "c_api.hpp"
#include "control/unix_address.hpp"

namespace smartvpn::cli {
namespace {

constexpr int kBacklog = 64;
constexpr int kLockTries = 8;

[[noreturn]] void fail(const std::string& path, const std::string& text) { throw Failure{kExitRuntime, path, text}; }
[[noreturn]] void fail_errno(const std::string& path) { fail(path, std::strerror(errno)); }

void make_folder_of(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return;
  std::string folder = path.substr(0, slash);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) fail_errno(folder);
}

UniqueFd new_socket(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) fail_errno(path);
  return fd;
}

// Whether the lock we hold is the file that others would find.
bool still_there(int fd, const std::string& path) {
  struct stat held {
  }, found{};
  return ::fstat(fd, &held) == 0 && ::lstat(path.c_str(), &found) == 0 && held.st_ino == found.st_ino &&
         held.st_dev == found.st_dev;
}

}  // namespace

ControlSocket::ControlSocket(const std::string& path) : path_(path), lock_path_(path + ".lock") {
  sockaddr_un address = unix_address(path_);
  make_folder_of(path_);
  lock();
  clear_the_way();
  listening_ = new_socket(path_);
  // The mode of the descriptor becomes the file's: at no moment can others connect.
  bool bound = ::fchmod(listening_.get(), 0600) == 0 &&
               ::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (!bound) fail_errno(path_);
  if (::listen(listening_.get(), kBacklog) != 0) {
    int error = errno;
    ::unlink(path_.c_str());
    errno = error;
    fail_errno(path_);
  }
}

// Somebody may have removed the folder under us, and another server have it now.
ControlSocket::~ControlSocket() {
  if (!still_there(lock_.get(), lock_path_)) return;
  ::unlink(path_.c_str());
  ::unlink(lock_path_.c_str());
}

void ControlSocket::lock() {
  for (int i = 0; i < kLockTries; ++i) {
    lock_ = UniqueFd(::open(lock_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock_) fail_errno(lock_path_);
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) fail(path_, "another server is running with this control socket");
      fail_errno(lock_path_);
    }
    // Its last owner may have removed it between our open and our lock.
    if (still_there(lock_.get(), lock_path_)) return;
  }
  fail(lock_path_, "is being removed again and again");
}

void ControlSocket::clear_the_way() {
  struct stat found {};
  if (::lstat(path_.c_str(), &found) != 0) {
    if (errno == ENOENT) return;
    fail_errno(path_);
  }
  if (!S_ISSOCK(found.st_mode)) fail(path_, "exists and is not a socket");
  UniqueFd probe = new_socket(path_);
  sockaddr_un address = unix_address(path_);
  bool answered = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (answered || errno != ECONNREFUSED) fail(path_, "another program listens on this socket");
  if (::unlink(path_.c_str()) != 0 && errno != ENOENT) fail_errno(path_);
}

}  // namespace smartvpn::cli
