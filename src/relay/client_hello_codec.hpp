// The body of a ClientHello, bytes to struct. Stateless.
#pragma once

#include "relay/client_hello.hpp"

namespace smartvpn::relay {

// `body`: the handshake message without its four bytes of type and length. False when it is not exactly one
// ClientHello (RFC 8446 section 4.1.2; RFC 5246 section 7.4.1.2, which has none or no extensions): a length that
// does not fit, trailing bytes, an extension twice. `out` is unspecified then. Extensions other than server_name,
// ALPN and supported_versions are passed over.
bool decode_client_hello(ByteView body, ClientHello& out);

}  // namespace smartvpn::relay
