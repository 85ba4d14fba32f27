#include "base/result.hpp"

#include <cstring>

namespace smartvpn {

Error system_error(int system_errno, std::string what, std::string path) {
  char buffer[128];
  // GNU strerror_r returns the text and may leave the buffer alone.
  what += ": ";
  what += strerror_r(system_errno, buffer, sizeof buffer);
  return Error{Status::SYSTEM, std::move(path), system_errno, std::move(what)};
}

}  // namespace smartvpn
