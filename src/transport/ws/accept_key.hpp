// The key exchange of the opening handshake (RFC 6455 sections 1.3 and 4.2.2): proof that the other
// end speaks WebSocket, no secret and no security.
#pragma once

#include <string>
#include <string_view>

#include "base/rng.hpp"

namespace smartvpn::ws {

// True when `key` is base64 of exactly 16 bytes.
bool is_valid_key(std::string_view key);

// A fresh Sec-WebSocket-Key: 24 characters.
std::string make_key(Rng& rng);

// Sec-WebSocket-Accept for a key: 28 characters.
std::string accept_for_key(std::string_view key);

}  // namespace smartvpn::ws
