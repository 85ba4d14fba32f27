// The tables behind the endings; see the header file. One row a code, so that wire, reason and advice
// cannot drift apart.
#include "session/close_code.hpp"

#include <iterator>

namespace smartvpn::session {
namespace {

struct StatusRow {
  HandshakeStatus status;
  const char* name;
  Reason reason;
  Reconnect reconnect;
};

constexpr StatusRow kStatuses[] = {
    {HandshakeStatus::ok, "ok", Reason::none, Reconnect::at_once},
    {HandshakeStatus::disabled, "disabled", Reason::client_disabled, Reconnect::never},
    {HandshakeStatus::expired, "expired", Reason::client_expired, Reconnect::never},
    {HandshakeStatus::denied, "denied", Reason::authorize_denied, Reconnect::backoff},
    {HandshakeStatus::no_address, "no_address", Reason::no_address_left, Reconnect::backoff},
    {HandshakeStatus::busy, "busy", Reason::too_many_sessions, Reconnect::backoff},
};

struct CloseRow {
  CloseCode code;
  const char* name;
  Reason reason;
  Reconnect reconnect;
};

constexpr CloseRow kCodes[] = {
    {CloseCode::unspecified, "unspecified", Reason::peer_closed, Reconnect::backoff},
    {CloseCode::leaving, "leaving", Reason::peer_closed, Reconnect::at_once},
    {CloseCode::replaced, "replaced", Reason::replaced, Reconnect::never},
    {CloseCode::disabled, "disabled", Reason::client_disabled, Reconnect::never},
    {CloseCode::expired, "expired", Reason::client_expired, Reconnect::never},
    {CloseCode::removed, "removed", Reason::client_removed, Reconnect::never},
    {CloseCode::denied, "denied", Reason::authorize_denied, Reconnect::backoff},
    {CloseCode::disconnected, "disconnected", Reason::disconnected, Reconnect::backoff},
    {CloseCode::stopping, "stopping", Reason::server_stopping, Reconnect::backoff},
    {CloseCode::timeout, "timeout", Reason::peer_timeout, Reconnect::at_once},
    {CloseCode::protocol_error, "protocol_error", Reason::protocol_error, Reconnect::backoff},
    {CloseCode::overloaded, "overloaded", Reason::too_many_sessions, Reconnect::backoff},
};

// Wire numbers are the row numbers.
const StatusRow& row(HandshakeStatus status) noexcept { return kStatuses[static_cast<uint8_t>(status)]; }
const CloseRow& row(CloseCode code) noexcept { return kCodes[static_cast<uint16_t>(code)]; }

constexpr bool rows_in_order() {
  uint16_t i = 0;
  for (const auto& r : kStatuses)
    if (static_cast<uint16_t>(r.status) != i++) return false;
  i = 0;
  for (const auto& r : kCodes)
    if (static_cast<uint16_t>(r.code) != i++) return false;
  return true;
}
static_assert(rows_in_order());

}  // namespace

HandshakeStatus status_for(Reason reason) noexcept {
  switch (reason) {
    case Reason::none:
      return HandshakeStatus::ok;
    case Reason::client_disabled:
      return HandshakeStatus::disabled;
    case Reason::client_expired:
      return HandshakeStatus::expired;
    case Reason::no_address_left:
      return HandshakeStatus::no_address;
    case Reason::too_many_connections:
    case Reason::rate_limited:
    case Reason::too_many_handshakes:
    case Reason::too_many_sessions:
    case Reason::draining:
    case Reason::server_stopping:
    case Reason::authorize_timeout:
    case Reason::out_of_memory:
    case Reason::internal_error:
      return HandshakeStatus::busy;
    default:
      return HandshakeStatus::denied;
  }
}

CloseCode close_code_for(Reason reason) noexcept {
  switch (reason) {
    case Reason::none:
    case Reason::peer_closed:
      return CloseCode::leaving;
    case Reason::replaced:
      return CloseCode::replaced;
    case Reason::client_disabled:
      return CloseCode::disabled;
    case Reason::client_expired:
      return CloseCode::expired;
    case Reason::client_removed:
      return CloseCode::removed;
    case Reason::unknown_client:
    case Reason::client_ip_block_list:
    case Reason::client_ip_not_allowed:
    case Reason::ip_block_list:
    case Reason::transport_not_allowed:
    case Reason::authorize_denied:
      return CloseCode::denied;
    case Reason::disconnected:
    case Reason::authorize_expired:  // the client may come back, and is asked about again
      return CloseCode::disconnected;
    case Reason::draining:
    case Reason::server_stopping:
      return CloseCode::stopping;
    case Reason::peer_timeout:
    case Reason::rekey_timeout:
    case Reason::handshake_timeout:
    case Reason::authorize_timeout:
      return CloseCode::timeout;
    case Reason::protocol_error:
    case Reason::handshake_failed:
    case Reason::websocket_error:
      return CloseCode::protocol_error;
    case Reason::too_many_connections:
    case Reason::too_many_handshakes:
    case Reason::too_many_sessions:
    case Reason::rate_limited:
    case Reason::no_address_left:
    case Reason::out_of_memory:
    case Reason::internal_error:
      return CloseCode::overloaded;
    default:
      return CloseCode::unspecified;
  }
}

HandshakeStatus read_status(uint8_t wire) noexcept {
  return wire < std::size(kStatuses) ? static_cast<HandshakeStatus>(wire) : HandshakeStatus::denied;
}
CloseCode read_close_code(uint16_t wire) noexcept {
  return wire < std::size(kCodes) ? static_cast<CloseCode>(wire) : CloseCode::unspecified;
}

Reason reason_for(HandshakeStatus status) noexcept { return row(status).reason; }
Reason reason_for(CloseCode code) noexcept { return row(code).reason; }
Reconnect reconnect_after(HandshakeStatus status) noexcept { return row(status).reconnect; }
Reconnect reconnect_after(CloseCode code) noexcept { return row(code).reconnect; }
const char* status_name(HandshakeStatus status) noexcept { return row(status).name; }
const char* close_code_name(CloseCode code) noexcept { return row(code).name; }

bool is_uniform_failure(Reason reason) noexcept {
  return reason == Reason::unknown_client || reason == Reason::handshake_failed || reason == Reason::handshake_timeout;
}

}  // namespace smartvpn::session
