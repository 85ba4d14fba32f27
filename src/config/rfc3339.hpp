// Dates as people write them in a configuration (RFC 3339 section 5.6).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace smartvpn::config {

// "2026-12-31T23:59:59Z", with a fraction and with an offset. Milliseconds since 1970, further digits
// cut off; a leap second is the second after it. Nothing for anything else, or before 1970.
std::optional<int64_t> parse_rfc3339_ms(std::string_view text) noexcept;

}  // namespace smartvpn::config
