// The address a tunnel dials, as text: "wss://vpn.example.com/tunnel", "ws://[2001:db8::7]:8080/t".
// Only what the native protocol over WebSocket needs; no user, query or fragment.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace smartvpn::config {

struct ServerUrl {
  bool tls = false;              // wss
  std::string host;              // name or address, without brackets, lower case
  uint16_t port = 0;             // 1..65535; 443 or 80 when the text has none
  std::string path = "/tunnel";  // begins with '/'; "/tunnel" when the text has none

  static std::optional<ServerUrl> parse(std::string_view text);
  // "name", "name:8443", "[2001:db8::7]:8443": the Host header. The scheme's own port is left out.
  std::string authority() const;
  std::string text() const;
};

// What a listener's path and a URL's path may be: begins with '/', at most 256 visible ASCII
// characters, no '?' or '#'.
bool is_valid_path(std::string_view path) noexcept;

}  // namespace smartvpn::config
