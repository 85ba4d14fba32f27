// The multi-packet ChaCha20-Poly1305: many packets of one key at once, with AVX2 or AVX-512 where the processor and
// the kernel have them. The fast half of AeadEngine; nothing else calls it, except tests.
// Source: RFC 8439, section 2.
#pragma once

#include <cstddef>
#include <cstdint>

namespace smartvpn::crypto {

// So many jobs share a pass over the data: enough to fill the lanes, few enough to stay in the nearest cache.
constexpr size_t kLaneJobs = 16;
constexpr uint32_t kMaxLaneBytes = 1u << 20;  // of one job
constexpr uint32_t kMaxLaneAdBytes = 64;

// What one lane works on. Sealing: `size` bytes at `data` become ciphertext, the tag goes behind them. Opening: `size`
// bytes of ciphertext with the tag behind them; `ok` says whether it was right, and without it they are zero.
struct LaneJob {
  uint64_t counter = 0;  // the last eight bytes of the nonce, little-endian
  const uint8_t* ad = nullptr;
  uint8_t* data = nullptr;
  uint32_t ad_size = 0;
  uint32_t size = 0;
  bool ok = false;
};

// The ChaCha20 state of all blocks: constants, key, and the first four bytes of the nonce in word 13.
struct LaneKey {
  uint32_t state[16];
};

constexpr size_t kLaneAlignment = 64;

// The first 32 bytes of each job's block 0, which are its key for Poly1305: `word[w][job]`.
struct alignas(kLaneAlignment) LanePolyKeys {
  uint32_t word[8][kLaneJobs];
};

// The halves of each job's tag, as little-endian numbers.
struct alignas(kLaneAlignment) LaneTags {
  uint64_t low[kLaneJobs];
  uint64_t high[kLaneJobs];
};

enum class VectorUnit : uint8_t { none, avx2, avx512 };

// By this build, this processor and this kernel; found out once. `none` is never available.
bool vector_unit_available(VectorUnit unit) noexcept;

LaneKey make_lane_key(const uint8_t* key32, uint32_t nonce_prefix) noexcept;

// `unit` must be available. At most kLaneJobs jobs, any sizes up to the limits above, one or more. The jobs' bytes must
// not overlap; nothing beyond a job's data, tag and associated data is read or written. What was secret on the stack is
// left behind: wipe_lanes() after a batch.
void seal_lanes(VectorUnit unit, const LaneKey& key, LaneJob* jobs, size_t count) noexcept;
void open_lanes(VectorUnit unit, const LaneKey& key, LaneJob* jobs, size_t count) noexcept;

// The step of both that makes the tags of what is at `data` now. By itself it serves tests: with keys and texts whose
// carries are extreme, and which no nonce would give.
void mac_lanes(VectorUnit unit, const LanePolyKeys& keys, const LaneJob* jobs, size_t count, LaneTags& tags) noexcept;

// Overwrites the stack below the caller's frame, as deep as the functions above go.
void wipe_lanes() noexcept;

// What each instruction set's file defines.
void seal_lanes_avx2(const LaneKey& key, LaneJob* jobs, size_t count) noexcept;
void open_lanes_avx2(const LaneKey& key, LaneJob* jobs, size_t count) noexcept;
void mac_lanes_avx2(const LanePolyKeys& keys, const LaneJob* jobs, size_t count, LaneTags& tags) noexcept;
void seal_lanes_avx512(const LaneKey& key, LaneJob* jobs, size_t count) noexcept;
void open_lanes_avx512(const LaneKey& key, LaneJob* jobs, size_t count) noexcept;
void mac_lanes_avx512(const LanePolyKeys& keys, const LaneJob* jobs, size_t count, LaneTags& tags) noexcept;

}  // namespace smartvpn::crypto
