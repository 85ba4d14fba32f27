// Which close codes may travel (RFC 6455 section 7.4, IANA's registry for 1012 to 1014).
#include "transport/ws/close_code.hpp"

namespace smartvpn::ws {

bool close_code_on_wire(uint16_t code) noexcept {
  if (code >= 3000) return code <= 4999;  // 3000s: registered by libraries, 4000s: private use
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

}  // namespace smartvpn::ws
