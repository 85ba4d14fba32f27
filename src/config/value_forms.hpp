// Forms of values that both checking and reading need. Inside config/ only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace smartvpn::config {

// 64 hex digits of either case, with or without colons between.
std::optional<std::array<uint8_t, 32>> parse_sha256(std::string_view text);

}  // namespace smartvpn::config
