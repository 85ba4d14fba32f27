// Arithmetic modulo p = 2^255 - 19 in five limbs of 51 bits, as much of it as one inversion takes. Limbs may
// be a little above 51 bits between operations; a product brings them back below 2^51 + 2^13.
#include "crypto/montgomery.hpp"

#include "base/bytes.hpp"
#include "base/uint128.hpp"

namespace smartvpn::crypto {
namespace {

using Wide = Uint128;
constexpr uint64_t kMask = (uint64_t{1} << 51) - 1;

struct Field {
  uint64_t limb[5];
};

Field load(std::span<const uint8_t, 32> in) noexcept {
  const uint8_t* p = in.data();
  return {{load_le64(p) & kMask, load_le64(p + 6) >> 3 & kMask, load_le64(p + 12) >> 6 & kMask,
           load_le64(p + 19) >> 1 & kMask, load_le64(p + 24) >> 12 & kMask}};
}

Field mul(const Field& a, const Field& b) noexcept {
  const uint64_t *x = a.limb, *y = b.limb;
  Wide sum[5];
  for (size_t i = 0; i < 5; ++i) {
    sum[i] = 0;
    // 2^255 is 19: what passes the top comes back at the bottom.
    for (size_t j = 0; j < 5; ++j) sum[i] += Wide{x[j]} * (j <= i ? y[i - j] : y[i + 5 - j] * 19);
  }
  Field out;
  uint64_t carry = 0;
  for (size_t i = 0; i < 5; ++i) {
    sum[i] += carry;
    out.limb[i] = static_cast<uint64_t>(sum[i]) & kMask;
    carry = static_cast<uint64_t>(sum[i] >> 51);
  }
  out.limb[0] += carry * 19;
  out.limb[1] += out.limb[0] >> 51;
  out.limb[0] &= kMask;
  return out;
}

Field square_times(Field a, int times) noexcept {
  while (times-- > 0) a = mul(a, a);
  return a;
}

// a^(p-2): the usual chain of 254 squarings and 11 products. The names say 2^n - 1 in the exponent.
Field invert(const Field& a) noexcept {
  const Field a2 = square_times(a, 1), a9 = mul(square_times(a2, 2), a), a11 = mul(a9, a2);
  const Field n5 = mul(square_times(a11, 1), a9);
  const Field n10 = mul(square_times(n5, 5), n5);
  const Field n20 = mul(square_times(n10, 10), n10);
  const Field n40 = mul(square_times(n20, 20), n20);
  const Field n50 = mul(square_times(n40, 10), n10);
  const Field n100 = mul(square_times(n50, 50), n50);
  const Field n200 = mul(square_times(n100, 100), n100);
  const Field n250 = mul(square_times(n200, 50), n50);
  return mul(square_times(n250, 5), a11);
}

// The one representative below p, little-endian.
void store(std::span<uint8_t, 32> out, Field a) noexcept {
  uint64_t* l = a.limb;
  auto carry = [&](uint64_t into) {
    l[0] += into;
    for (size_t i = 0; i < 4; ++i) {
      l[i + 1] += l[i] >> 51;
      l[i] &= kMask;
    }
    const uint64_t over = l[4] >> 51;
    l[4] &= kMask;
    return over;
  };
  l[0] += 19 * carry(0);
  l[0] += 19 * carry(0);
  // Below 2^255 now. Adding 19 passes the top exactly if the value is p or more; then that is the answer.
  const Field small = a;
  const uint64_t reduce = ~(carry(19) - 1);
  for (size_t i = 0; i < 5; ++i) l[i] = (l[i] & reduce) | (small.limb[i] & ~reduce);
  store_le64(out.data(), l[0] | l[1] << 51);
  store_le64(out.data() + 8, l[1] >> 13 | l[2] << 38);
  store_le64(out.data() + 16, l[2] >> 26 | l[3] << 25);
  store_le64(out.data() + 24, l[3] >> 39 | l[4] << 12);
}

}  // namespace

void montgomery_u(std::span<uint8_t, 32> u, std::span<const uint8_t, 32> edwards) noexcept {
  const Field y = load(edwards);
  Field above = y, below;
  above.limb[0] += 1;
  // 2p + 1 - y, so that no limb is negative.
  constexpr uint64_t kTwice = uint64_t{1} << 52;
  for (size_t i = 0; i < 5; ++i) below.limb[i] = kTwice - 2 - y.limb[i];
  below.limb[0] = kTwice - 38 + 1 - y.limb[0];
  store(u, mul(above, invert(below)));
}

}  // namespace smartvpn::crypto
