// The text line of version 1 (section 2.1): what may still become one, and one as fields. Stateless;
// the parser collects the bytes.
#pragma once

#include <string_view>

#include "proxyproto/header.hpp"

namespace smartvpn::proxyproto {

// Some valid line begins with `text`, as far as the word for the protocol and what must follow it.
bool may_begin_v1(std::string_view text) noexcept;
constexpr size_t kV1Beginning = 15;  // more bytes than these do not change its answer: "PROXY UNKNOWN\r\n"

// Decodes a whole line without its CRLF. Null when fine, else a static text.
const char* decode_v1(std::string_view line, Header& header);

}  // namespace smartvpn::proxyproto
