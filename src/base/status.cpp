#include "base/status.hpp"

namespace smartvpn {

const char* status_name(int32_t status) noexcept {
  switch (status) {
#define X(name, value, text) \
  case value:                \
    return #name;
    SMARTVPN_STATUS_LIST(X)
#undef X
    default:
      return "UNKNOWN";
  }
}

const char* status_text(int32_t status) noexcept {
  switch (status) {
#define X(name, value, text) \
  case value:                \
    return text;
    SMARTVPN_STATUS_LIST(X)
#undef X
    default:
      return "unknown status";
  }
}

}  // namespace smartvpn
