// The protocol's clock hands in one place: what a session waits for and how long. The values are the
// protocol's; tests and the configuration change the few that may differ. docs/PROTOCOL.md, "Timers".
#pragma once

#include <cstdint>

#include "base/clock.hpp"
#include "session/replay_window.hpp"

namespace smartvpn::session {

// Which carrier a session runs on; the byte is part of the handshake's prologue.
enum class Carrier : uint8_t { websocket = 1, quic = 2 };

// Whether the carrier delivers every message, in order: counters are then strictly consecutive.
constexpr bool is_ordered(Carrier carrier) noexcept { return carrier == Carrier::websocket; }

struct Timing {
  // Keepalive. The server's interval is told to the client in message 2; 20 s suits proxies.
  Duration keepalive_interval = seconds(30);
  Duration ping_retry = seconds(5);
  Duration dead_after = seconds(15);  // after the first unanswered ping

  Duration handshake_timeout = seconds(10);  // for each step that the other side owes
  Duration verdict_timeout = seconds(60);    // for the owner's answer to on_identity, a last resort

  Duration rekey_after = seconds(120);
  Duration reject_after = seconds(180);  // older keys neither seal nor open
  Duration rekey_grace = seconds(60);    // then the connection waits this long for new ones
  Duration rekey_retry = seconds(15);    // a client asks again when no answer came
  Duration rekey_min_gap = seconds(5);   // a server answers at most one rekey in this time
  uint64_t rekey_after_messages = uint64_t{1} << 60;
  uint64_t reject_after_messages = kRejectAfterMessages;  // at most; more under one key neither seals nor opens
};

}  // namespace smartvpn::session
