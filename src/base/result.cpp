#include "base/result.hpp"

#include <cerrno>
#include <cstring>

namespace smartvpn {

// Status NO_MEMORY where that is what the system says.
Error system_error(int system_errno, std::string what, std::string path) {
  char buffer[128];
  // GNU strerror_r returns the text and may leave the buffer alone.
  what += ": ";
  what += strerror_r(system_errno, buffer, sizeof buffer);
  return Error{system_errno == ENOMEM ? Status::NO_MEMORY : Status::SYSTEM, std::move(path), system_errno,
               std::move(what)};
}

}  // namespace smartvpn
