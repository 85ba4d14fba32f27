// CRC32c (Castagnoli, RFC 4960 appendix B), the checksum of the v2 CRC32C TLV. Table driven, the
// same on every machine; headers are small.
#pragma once

#include "base/bytes.hpp"

namespace smartvpn::proxyproto {

// `crc` is the result over the bytes before, 0 at the start.
uint32_t crc32c(ByteView bytes, uint32_t crc = 0) noexcept;

}  // namespace smartvpn::proxyproto
