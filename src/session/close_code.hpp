// The closed tables of endings: the status in message 2, the code in a close record, and what each
// tells a client about connecting again. docs/PROTOCOL.md, "Statuses" and "Close codes".
#pragma once

#include <cstdint>

#include "base/reason.hpp"

namespace smartvpn::session {

// First byte of message 2's payload. Numbers are wire format; unknown ones are read as `denied`.
enum class HandshakeStatus : uint8_t { ok = 0, disabled = 1, expired = 2, denied = 3, no_address = 4, busy = 5 };

// In a close record. Numbers are wire format; unknown ones are read as `unspecified`.
enum class CloseCode : uint16_t {
  unspecified = 0,
  leaving = 1,   // the sender was told to end; nothing is wrong
  replaced = 2,  // a newer session of the same client took over
  disabled = 3,
  expired = 4,
  removed = 5,       // no longer in the registry
  denied = 6,        // a rule changed
  disconnected = 7,  // an operator ended this session
  stopping = 8,      // the server is going down
  timeout = 9,       // no sign of life, or no new keys in time
  protocol_error = 10,
  overloaded = 11,  // out of memory or over a limit
};

// What a client may do by itself after the end.
enum class Reconnect : uint8_t {
  at_once,  // first try without waiting, then with backoff
  backoff,  // wait first: at least retry_after_s, otherwise as after a failed attempt
  never,    // only when a person or the configuration says so
};

struct CloseInfo {
  Reason reason = Reason::none;
  bool by_peer = false;                          // the other side said so; otherwise it was us or the carrier
  HandshakeStatus status = HandshakeStatus::ok;  // not ok: message 2 refused us
  CloseCode code = CloseCode::unspecified;       // of the close record, if one was sent or received
  uint32_t retry_after_s = 0;
  Reconnect reconnect = Reconnect::backoff;
};

// `ok` for Reason::none. Only for reasons told to an authenticated client; see is_uniform_failure().
HandshakeStatus status_for(Reason reason) noexcept;
Reason reason_for(HandshakeStatus status) noexcept;
HandshakeStatus read_status(uint8_t wire) noexcept;

CloseCode close_code_for(Reason reason) noexcept;
Reason reason_for(CloseCode code) noexcept;
CloseCode read_close_code(uint16_t wire) noexcept;

Reconnect reconnect_after(HandshakeStatus status) noexcept;
Reconnect reconnect_after(CloseCode code) noexcept;

// Reasons that a stranger must not tell apart: the connection ends without a word.
bool is_uniform_failure(Reason reason) noexcept;

const char* status_name(HandshakeStatus status) noexcept;
const char* close_code_name(CloseCode code) noexcept;

}  // namespace smartvpn::session
