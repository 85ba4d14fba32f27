// Close codes of RFC 6455 section 7.4: their names, and which may travel in a Close frame.
#pragma once

#include <cstdint>

namespace smartvpn::ws {

// Registered codes this endpoint sends or gives a meaning to.
enum CloseCode : uint16_t {
  kCloseNormal = 1000,
  kCloseGoingAway = 1001,
  kCloseProtocolError = 1002,
  kCloseUnsupportedData = 1003,
  kCloseNoStatus = 1005,  // never on the wire: the Close frame had no body
  kCloseAbnormal = 1006,  // never on the wire: the connection ended without a Close frame
  kCloseInvalidPayload = 1007,
  kClosePolicyViolation = 1008,
  kCloseMessageTooBig = 1009,
  kCloseInternalError = 1011,
  kCloseServiceRestart = 1012,
  kCloseTryAgainLater = 1013,
};

// True for 1000-1003, 1007-1014 and 3000-4999. Everything else in a received Close frame is a
// protocol error (1002), and is never sent.
bool close_code_on_wire(uint16_t code) noexcept;

}  // namespace smartvpn::ws
