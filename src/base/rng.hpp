// Randomness as an argument: machines take an `Rng&`, tests pass one that repeats itself.
#pragma once

#include "base/bytes.hpp"

namespace smartvpn {

class Rng {
 public:
  virtual ~Rng() = default;
  virtual void fill(ByteSpan out) noexcept = 0;

  uint32_t u32() noexcept {
    uint8_t b[4];
    fill(b);
    return load_le32(b);
  }
  uint64_t u64() noexcept {
    uint8_t b[8];
    fill(b);
    return load_le64(b);
  }
};

// The kernel's generator through libsodium. Any thread.
Rng& system_rng() noexcept;

}  // namespace smartvpn
