// Which instruction sets there are, and the way to their files.
#include "crypto/vector_aead.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/features.hpp"
#include "base/secret.hpp"

#if SMARTVPN_WITH_VECTOR_AEAD
#include <cpuid.h>
#endif

namespace smartvpn::crypto {

namespace {

#if SMARTVPN_WITH_VECTOR_AEAD
struct Registers {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(uint32_t leaf) noexcept {
  Registers r;
  if (!__get_cpuid_count(leaf, 0, &r.a, &r.b, &r.c, &r.d)) r = {};
  return r;
}

constexpr bool has_bits(uint64_t value, uint64_t bits) noexcept { return (value & bits) == bits; }

// Which registers the kernel saves when it changes threads: an instruction of others would fault, or worse.
uint64_t saved_registers() noexcept {
  constexpr uint32_t kOsxsave = 1u << 27;
  if (!has_bits(cpuid(1).c, kOsxsave)) return 0;
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

bool found_avx2() noexcept {
  constexpr uint64_t kSse = 1 << 1, kYmm = 1 << 2;
  constexpr uint32_t kAvx = 1u << 28, kAvx2 = 1u << 5;
  return has_bits(saved_registers(), kSse | kYmm) && has_bits(cpuid(1).c, kAvx) && has_bits(cpuid(7).b, kAvx2);
}

bool found_avx512() noexcept {
  constexpr uint64_t kMasks = 1 << 5, kUpperHalves = 1 << 6, kUpperRegisters = 1 << 7;
  constexpr uint32_t kF = 1u << 16, kIfma = 1u << 21, kBw = 1u << 30, kVl = 1u << 31;
  return found_avx2() && has_bits(saved_registers(), kMasks | kUpperHalves | kUpperRegisters) &&
         has_bits(cpuid(7).b, kF | kIfma | kBw | kVl);
}
#endif

// More than the deepest of the functions takes, by a third.
constexpr size_t kStackOfLanes = 12 * 1024;

}  // namespace

bool vector_unit_available([[maybe_unused]] VectorUnit unit) noexcept {
#if SMARTVPN_WITH_VECTOR_AEAD
  static const bool avx2 = found_avx2(), avx512 = found_avx512();
  if (unit == VectorUnit::avx2) return avx2;
  if (unit == VectorUnit::avx512) return avx512;
#endif
  return false;
}

LaneKey make_lane_key(const uint8_t* key32, uint32_t nonce_prefix) noexcept {
  LaneKey key{{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}};
  for (size_t i = 0; i < 8; ++i) key.state[4 + i] = load_le32(key32 + 4 * i);
  key.state[13] = nonce_prefix;
  return key;
}

#if SMARTVPN_WITH_VECTOR_AEAD
void seal_lanes(VectorUnit unit, const LaneKey& key, LaneJob* jobs, size_t count) noexcept {
  (unit == VectorUnit::avx512 ? seal_lanes_avx512 : seal_lanes_avx2)(key, jobs, count);
}

void open_lanes(VectorUnit unit, const LaneKey& key, LaneJob* jobs, size_t count) noexcept {
  (unit == VectorUnit::avx512 ? open_lanes_avx512 : open_lanes_avx2)(key, jobs, count);
}

void mac_lanes(VectorUnit unit, const LanePolyKeys& keys, const LaneJob* jobs, size_t count, LaneTags& tags) noexcept {
  (unit == VectorUnit::avx512 ? mac_lanes_avx512 : mac_lanes_avx2)(keys, jobs, count, tags);
}
#else  // no unit is available, so nobody calls these
void seal_lanes(VectorUnit, const LaneKey&, LaneJob*, size_t) noexcept {}
void open_lanes(VectorUnit, const LaneKey&, LaneJob* jobs, size_t count) noexcept {
  for (size_t i = 0; i < count; ++i) jobs[i].ok = false;
}
void mac_lanes(VectorUnit, const LanePolyKeys&, const LaneJob*, size_t, LaneTags& tags) noexcept { tags = {}; }
#endif

__attribute__((noinline)) void wipe_lanes() noexcept {
  uint8_t stack[kStackOfLanes];
  wipe(stack);
}

}  // namespace smartvpn::crypto
