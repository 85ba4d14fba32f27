// The PROXY v2 header in front of a datagram (haproxy doc/proxy-protocol.txt, revision 2026/04/27, section 2): header
// and payload in one, each datagram with its own, which is parsed for itself. A proxy says the same of a client again
// and again, so equal headers are recognised by their bytes. Pure.
#pragma once

#include <optional>

#include "proxyproto/header.hpp"

namespace smartvpn::relay {

// Whether a datagram begins with the twelve bytes of version 2. There is no version 1 of datagrams.
bool begins_with_v2(ByteView datagram) noexcept;

// What a header seems to say, without a look at most of it.
struct HeaderGlance {
  size_t size = 0;        // of the header, not above the datagram's
  inet::Endpoint source;  // none: no address of a datagram's client
};
// For finding those bytes that were read by read_datagram_header() before, and nothing else. Nothing: it is no header.
std::optional<HeaderGlance> glance_at_header(ByteView datagram) noexcept;

enum class HeaderVerdict : uint8_t {
  sound,      // the payload begins at header.size; the client is header.source, or has no address
  local,      // the proxy's own, for a health check
  malformed,  // also one above the limit, version 1, and a header of a stream's
};
// `most`: bytes of the header, at least proxyproto::kV2FixedSize.
HeaderVerdict read_datagram_header(ByteView datagram, size_t most, proxyproto::Header& header);

}  // namespace smartvpn::relay
