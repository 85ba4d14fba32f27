// See scarcity.hpp.
#include "net/scarcity.hpp"

#include <sys/eventfd.h>

#include <cerrno>

#include "base/descriptor.hpp"

namespace smartvpn::net {

Fd spare_descriptor() noexcept { return Fd(above_standard(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))); }

bool is_scarcity(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace smartvpn::net
