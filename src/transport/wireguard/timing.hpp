// The protocol's numbers (white paper, sections 5 and 6; the kernel's where they are newer). A machine gets them as a
// value, so that tests may shorten time; the configuration changes only `session_timeout` and `persistent_keepalive`.
#pragma once

#include <cstdint>

#include "base/clock.hpp"
#include "session/replay_window.hpp"

namespace smartvpn::wireguard {

constexpr uint64_t kRekeyAfterMessages = uint64_t{1} << 60;
using session::kRejectAfterMessages;  // 2^64 - 2^13 - 1, as the kernel has it

struct Timing {
  Duration rekey_after = seconds(120);
  Duration reject_after = seconds(180);
  Duration rekey_attempt = seconds(90);  // handshakes are tried for so long, then packets are dropped
  Duration rekey_timeout = seconds(5);   // between two tries, and between two handshakes of one peer
  Duration rekey_jitter = milliseconds(334);
  Duration keepalive_timeout = seconds(10);
  Duration persistent_keepalive{0};            // 0: none
  Duration initiation_gap = milliseconds(20);  // at most 50 initiations a second are answered, per peer
  // Keys are wiped this long after the last handshake.
  Duration forget_after() const noexcept { return 3 * reject_after; }
};

constexpr Duration kCookieLifetime = seconds(120);

}  // namespace smartvpn::wireguard
