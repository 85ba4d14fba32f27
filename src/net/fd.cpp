// Closing and duplicating descriptors; see fd.hpp.
#include "net/fd.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace smartvpn::net {

void Fd::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);  // Linux releases the number even when close() reports an error.
  fd_ = fd;
}

Fd Fd::duplicate_of(int fd) noexcept { return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)); }

}  // namespace smartvpn::net
