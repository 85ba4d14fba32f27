// What to do where descriptors or memory of the kernel may run out.
#pragma once

#include "net/fd.hpp"

namespace smartvpn::net {

// A descriptor that stands in for one to come: closed right before that one is opened, on the same thread, it cannot
// fail for want of a number. Empty with errno set when there is none left. Any thread.
Fd spare_descriptor() noexcept;

// EMFILE, ENFILE, ENOBUFS, ENOMEM: of this host, and of nobody it talks to.
bool is_scarcity(int error) noexcept;

}  // namespace smartvpn::net
