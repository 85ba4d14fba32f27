// See loop_start.hpp. What the host has closed of 0 to 2 is occupied while libuv makes its descriptors, in the process
// that starts a loop and again in a forked child, where libuv makes its pipe anew.
#include "net/loop_start.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <new>
#include <utility>

#include "base/mutex.hpp"

namespace smartvpn::net {
namespace {

constexpr int kStandard = 3;

// Placeholders are sockets because each has an inode of its own: what the host has put in the place of one meanwhile
// is not closed.
class StandardNumbers {
 public:
  void occupy() noexcept {
    for (int fd = 0; fd < kStandard; ++fd) {
      ours_[index(fd)] = false;
      if (::fcntl(fd, F_GETFD) != -1) continue;
      const int made = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      struct stat info {};
      if (made == fd && ::fstat(made, &info) == 0) {
        ours_[index(fd)] = true;
        inode_[index(fd)] = info.st_ino;
      } else if (made >= 0) {
        ::close(made);
      }
    }
  }
  void leave() noexcept {
    for (int fd = 0; fd < kStandard; ++fd) {
      struct stat info {};
      if (ours_[index(fd)] && ::fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode) && info.st_ino == inode_[index(fd)])
        ::close(fd);
      ours_[index(fd)] = false;
    }
  }

 private:
  static size_t index(int fd) noexcept { return static_cast<size_t>(fd); }
  std::array<bool, kStandard> ours_{};
  std::array<ino_t, kStandard> inode_{};
};

// Trivially destructible, as all that lives at namespace scope.
Mutex starting;
StandardNumbers standard GUARDED_BY(starting);
// Our fork handlers on both sides of libuv's.
bool before_libuv GUARDED_BY(starting) = false, after_libuv GUARDED_BY(starting) = false;

// Once every handler is registered. Before, a fork must not wait for `starting`: whoever holds it may be waiting to
// register one, which some C libraries let nobody do while a fork runs the handlers.
std::atomic<bool> armed{false};
thread_local bool fork_holds = false;  // the child has its forking thread's

// Around a fork, which no analysis can follow. Children run these in the order of registration, libuv's own in between.
NO_THREAD_SAFETY_ANALYSIS void lock_for_fork() noexcept {
  fork_holds = armed;
  if (fork_holds) starting.lock();
}
NO_THREAD_SAFETY_ANALYSIS void unlock_in_parent() noexcept {
  if (std::exchange(fork_holds, false)) starting.unlock();
}
NO_THREAD_SAFETY_ANALYSIS void occupy_in_child() noexcept {
  standard.occupy();
  if (std::exchange(fork_holds, false))
    starting.unlock();
  else
    new (&starting) Mutex;  // whoever had it is not here
}
NO_THREAD_SAFETY_ANALYSIS void leave_in_child() noexcept { standard.leave(); }

// What a loop opens: two pipes, of which the process's first it does not forgive, an epoll and an eventfd.
int check_room() noexcept {
  std::array<int, 6> fds{};
  fds.fill(-1);
  int error = 0;
  for (size_t i = 0; i < fds.size() && error == 0; i += 2)
    if (::pipe2(&fds[i], O_CLOEXEC) != 0) error = errno;
  for (const int fd : fds)
    if (fd >= 0) ::close(fd);
  return error;
}

int start_locked(uv_loop_t* loop, uv_async_t* async, uv_async_cb on_async) noexcept {
  if (int rc = uv_loop_init(loop); rc != 0) return -rc;
  // Opens an eventfd only where uv_loop_init has not.
  if (int rc = uv_async_init(loop, async, on_async); rc != 0) {
    uv_loop_close(loop);
    return -rc;
  }
  return 0;
}

}  // namespace

int start_loop(uv_loop_t* loop, uv_async_t* async, uv_async_cb on_async) noexcept {
  MutexLock lock(starting);
  if (!before_libuv) {
    if (int error = pthread_atfork(lock_for_fork, unlock_in_parent, occupy_in_child); error != 0) return error;
    before_libuv = true;
  }
  if (int error = check_room(); error != 0) return error;
  standard.occupy();
  const int error = start_locked(loop, async, on_async);
  standard.leave();
  if (!after_libuv) after_libuv = pthread_atfork(nullptr, nullptr, leave_in_child) == 0;
  armed = after_libuv;
  return error;
}

}  // namespace smartvpn::net
