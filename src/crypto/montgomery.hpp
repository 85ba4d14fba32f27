// From the Edwards form of Curve25519 to the Montgomery form (RFC 7748 section 4.1). Fixed-base multiplication
// is more than twice as fast on the Edwards curve, where libsodium has a table, than with the ladder.
#pragma once

#include <cstdint>
#include <span>

namespace smartvpn::crypto {

// u = (1 + y) / (1 - y). `edwards` is an encoded point: y, and the sign of x in the top bit, which does not
// matter here. The point must not be the identity (the result would be zero). Constant time.
void montgomery_u(std::span<uint8_t, 32> u, std::span<const uint8_t, 32> edwards) noexcept;

}  // namespace smartvpn::crypto
