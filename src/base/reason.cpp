#include "base/reason.hpp"

namespace smartvpn {

const char* reason_name(Reason reason) noexcept {
  static constexpr const char* kNames[] = {
#define X(name) #name,
      SMARTVPN_REASON_LIST(X)
#undef X
  };
  auto i = static_cast<size_t>(reason);
  return i < kReasonCount ? kNames[i] : "unknown";
}

const char* drop_name(Drop drop) noexcept {
  static constexpr const char* kNames[] = {
#define X(name) #name,
      SMARTVPN_DROP_LIST(X)
#undef X
  };
  auto i = static_cast<size_t>(drop);
  return i < kDropCount ? kNames[i] : "unknown";
}

}  // namespace smartvpn
