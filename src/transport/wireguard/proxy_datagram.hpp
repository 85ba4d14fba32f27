// The PROXY v2 header (DGRAM) in front of every datagram of a listener that expects one. There is no connection that
// would remember it, so each datagram says again who sent it; a proxy's equal headers are parsed once. Pure.
#pragma once

#include <array>
#include <optional>

#include "proxyproto/parser.hpp"

namespace smartvpn::wireguard {

class ProxyDatagram {
 public:
  enum class Result : uint8_t {
    message,    // `message` is what follows the header; the client is `real()`, or unknown if the header has none
    local,      // the proxy's own, for a health check: not for us
    malformed,  // also version 1, which knows no datagrams, and a connection's header that is no datagram's
  };
  Result strip(ByteSpan datagram, ByteSpan* message);
  // Of the last datagram that was a message.
  const std::optional<inet::Endpoint>& real() const noexcept { return header_.source; }
  const proxyproto::Header& header() const noexcept { return header_; }

 private:
  static constexpr size_t kMaxKept = 256;  // a longer header is parsed each time
  static constexpr size_t kMaxBlock = 1024;
  bool is_kept(ByteView datagram) const noexcept;

  proxyproto::Header header_;
  std::array<uint8_t, kMaxKept> kept_{};
  size_t kept_size_ = 0;  // 0: none
};

}  // namespace smartvpn::wireguard
