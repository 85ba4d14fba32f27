// Host names as they are compared: what SNI and Host carry, and what domain patterns are held against.
// Any two spellings of one name become one text here, and nothing else passes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace smartvpn::relay {

// A DNS name in ASCII lower case without its trailing dot: at most 253 bytes, labels of 1 to 63 letters,
// digits, '-' and '_' (RFC 1123 section 2.1, and the underscore that is in use). Nothing for all else, IPv4
// addresses included.
std::optional<std::string> normalise_host(std::string_view text);

struct Authority {
  std::string host;  // as normalise_host has it, or an address: "192.0.2.1", "2001:db8::1"
  std::optional<uint16_t> port;
};

// "name", "name:443", "192.0.2.1:80", "[2001:db8::1]:80" (RFC 3986 section 3.2, without userinfo). A port is
// 1 to 5 digits, up to 65535. `[::ffff:192.0.2.1]` is 192.0.2.1. Nothing for all else, zones included.
std::optional<Authority> parse_authority(std::string_view text);

// The host of that alone.
std::optional<std::string> host_of_authority(std::string_view authority);

}  // namespace smartvpn::relay
