// How long a test lays siege. The suite runs each siege in a few seconds; scripts/siege.sh sets SMARTVPN_SIEGE=1 and
// runs the ctests labelled "siege" at their full length.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace smartvpn::testing {

/// True under scripts/siege.sh.
inline bool under_siege() {
  const char* value = std::getenv("SMARTVPN_SIEGE");
  return value != nullptr && std::string_view(value) == "1";
}

/// How often a test repeats what it does: `usual` in the suite, `full` under siege.
inline std::uint64_t siege_rounds(std::uint64_t usual, std::uint64_t full) { return under_siege() ? full : usual; }

}  // namespace smartvpn::testing
