// What must hold whatever the input; else the fuzzer has found something.
#pragma once

#include <cstdlib>

namespace smartvpn::fuzz {

inline void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace smartvpn::fuzz
