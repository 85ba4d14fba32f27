// See tai64n.hpp.
#include "transport/wireguard/tai64n.hpp"

#include <algorithm>

namespace smartvpn::wireguard {
namespace {

// TAI is ten seconds ahead of the Unix epoch's labels, as every implementation counts it: leap seconds since are
// ignored.
constexpr uint64_t kEpoch = (uint64_t{1} << 62) + 10;
constexpr uint32_t kWhitened = (1u << 24) - 1;
constexpr int64_t kSecond = 1'000'000'000;

Tai64n stamp_of(uint64_t seconds, uint32_t nanoseconds) noexcept {
  Tai64n out;
  store_be64(out.bytes.data(), seconds);
  store_be32(out.bytes.data() + 8, nanoseconds);
  return out;
}

// The least whitened stamp above `before`.
Tai64n next_after(const Tai64n& before) noexcept {
  const uint64_t seconds = load_be64(before.bytes.data());
  const uint64_t next = uint64_t{load_be32(before.bytes.data() + 8) | kWhitened} + 1;
  return next < kSecond ? stamp_of(seconds, static_cast<uint32_t>(next)) : stamp_of(seconds + 1, 0);
}

}  // namespace

Tai64n tai64n(int64_t unix_ns, const Tai64n& after) noexcept {
  const int64_t time = std::max<int64_t>(unix_ns, 0);
  const auto fraction = static_cast<uint32_t>(time % kSecond);
  const Tai64n now = stamp_of(kEpoch + static_cast<uint64_t>(time / kSecond), fraction & ~kWhitened);
  return now > after ? now : next_after(after);
}

}  // namespace smartvpn::wireguard
