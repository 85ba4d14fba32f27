// SHA-1 (RFC 3174), for `Sec-WebSocket-Accept` and nothing else: it protects nothing there. Own code,
// so that a host's OpenSSL without SHA-1 cannot break the upgrade.
#pragma once

#include <array>

#include "base/bytes.hpp"

namespace smartvpn::crypto {

std::array<uint8_t, 20> sha1(ByteView bytes) noexcept;

}  // namespace smartvpn::crypto
