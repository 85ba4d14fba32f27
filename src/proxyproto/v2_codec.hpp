// The binary header of version 2 (section 2.2): its fixed numbers, the checks that need no more than
// the first 16 bytes, and a whole header as fields. Stateless; the parser collects the bytes.
#pragma once

#include "proxyproto/header.hpp"

namespace smartvpn::proxyproto {

constexpr std::array<uint8_t, 12> kV2Signature{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
constexpr size_t kV2MaxBlock = 65535;
constexpr size_t kUnixPath = 108;

// Bytes of addresses for a family: 12, 36, 216, and 0 for UNSPEC.
size_t address_size(Family family) noexcept;

// Looks at byte `index` (0..13) of a header whose earlier bytes are fine. Null when it may stand
// there, else a static text.
const char* check_v2_byte(ByteView fixed, size_t index) noexcept;
// All 16 fixed bytes are there: the block is long enough for the addresses it announces.
const char* check_v2_length(ByteView fixed) noexcept;

// Decodes a whole header, 16 + length bytes whose fixed part passed the checks above. Null when
// fine, else a static text.
const char* decode_v2(ByteView whole, Header& header);

}  // namespace smartvpn::proxyproto
