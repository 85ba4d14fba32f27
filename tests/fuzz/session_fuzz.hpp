// For targets that let session machines run: randomness that an input can be replayed with.
#pragma once

#include "base/rng.hpp"
#include "fuzz/require.hpp"

namespace smartvpn::fuzz {

class CountingRng final : public Rng {
 public:
  void fill(ByteSpan out) noexcept override {
    for (auto& b : out) b = next_ += 37;
  }

 private:
  uint8_t next_ = 1;
};

}  // namespace smartvpn::fuzz
