// For targets that let session machines run: what must hold, and randomness that an input can be replayed with.
#pragma once

#include <cstdlib>

#include "base/rng.hpp"

namespace smartvpn::fuzz {

inline void require(bool condition) {
  if (!condition) std::abort();
}

class CountingRng final : public Rng {
 public:
  void fill(ByteSpan out) noexcept override {
    for (auto& b : out) b = next_ += 37;
  }

 private:
  uint8_t next_ = 1;
};

}  // namespace smartvpn::fuzz
