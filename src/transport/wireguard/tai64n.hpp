// TAI64N: the label that makes an initiation newer than all before it (white paper, section 5.4.2; cr.yp.to/libtai).
#pragma once

#include <array>
#include <compare>

#include "base/bytes.hpp"

namespace smartvpn::wireguard {

struct Tai64n {
  std::array<uint8_t, 12> bytes{};  // big-endian seconds and nanoseconds, so bytes compare as times do
  friend auto operator<=>(const Tai64n&, const Tai64n&) = default;
  bool is_zero() const noexcept { return *this == Tai64n{}; }
};

// Of a wall clock, whitened to some 16 ms (2^24 ns) so that it tells nothing finer. Strictly greater than `after`
// even if the clock has gone back.
Tai64n tai64n(int64_t unix_ns, const Tai64n& after = {}) noexcept;

}  // namespace smartvpn::wireguard
