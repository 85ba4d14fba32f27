// What the bytes of an input choose. A call is a record of kRecord bytes, so that adding, dropping and swapping
// calls leaves the others as they were; a record that has been used up goes on with bytes made from it.
#pragma once

#include <cstdint>
#include <string>

#include "fuzz/require.hpp"

namespace smartvpn::fuzz {

constexpr size_t kRecord = 8;
constexpr size_t kMaxCalls = 64;

class Record {
 public:
  explicit Record(const uint8_t* bytes) {
    for (size_t i = 0; i < kRecord; ++i) state_ = state_ * 257 + (bytes_[i] = bytes[i]);
  }
  uint8_t u8() {
    if (at_ < kRecord) return bytes_[at_++];
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint8_t>(state_ >> 56);
  }
  uint16_t u16() { return static_cast<uint16_t>(u8() << 8 | u8()); }
  // One byte's choice of `n` at most 256.
  size_t below(size_t n) { return u8() % n; }
  template <class T, size_t N>
  const T& of(const T (&list)[N]) {
    return list[below(N)];
  }
  // True for about one value in sixteen: what goes wrong on purpose stays rare, or nothing would get deep.
  bool rarely() { return u8() >= 0xf0; }
  std::string odd_bytes() {
    std::string out;
    for (size_t n = below(12); n > 0; --n) out.push_back(static_cast<char>(u8()));
    return out;
  }

 private:
  uint8_t bytes_[kRecord];
  size_t at_ = 0;
  uint64_t state_ = 1;
};

}  // namespace smartvpn::fuzz
