// Frame headers and masking (RFC 6455 sections 5.2 and 5.3). Masking is on the path of every byte a
// client sends: the wide loop below compiles to vector instructions, the rest is at most 7 bytes.
#include "transport/ws/frame_codec.hpp"

#include <bit>

namespace smartvpn::ws {
namespace {

constexpr uint8_t kFin = 0x80, kRsv = 0x70, kOpcode = 0x0f, kMasked = 0x80, kLength = 0x7f;

bool known_opcode(uint8_t opcode) noexcept { return opcode <= 2 || (opcode >= 8 && opcode <= 10); }

// A vector register of any 64-bit machine; the compiler picks the instructions.
using Lane = uint64_t __attribute__((vector_size(16)));
constexpr size_t kBlock = 4 * sizeof(Lane);

inline void mask_lane(uint8_t* p, uint64_t wide) noexcept {
  Lane lane;
  std::memcpy(&lane, p, sizeof lane);
  lane ^= wide;
  std::memcpy(p, &lane, sizeof lane);
}

// The key as eight bytes in memory order, beginning with key byte `phase`.
uint64_t repeat_key(const MaskKey& key, size_t phase) noexcept {
  uint32_t word;
  std::memcpy(&word, key.data(), 4);
  const int bits = static_cast<int>(phase & 3) * 8;
  word = std::endian::native == std::endian::little ? std::rotr(word, bits) : std::rotl(word, bits);
  return uint64_t{word} << 32 | word;
}

}  // namespace

HeaderStatus decode_frame_header(ByteView in, bool expect_masked, FrameHeader& out) noexcept {
  if (in.empty()) return HeaderStatus::need_more;
  if ((in[0] & kRsv) != 0 || !known_opcode(in[0] & kOpcode)) return HeaderStatus::malformed;
  out.fin = (in[0] & kFin) != 0;
  out.opcode = static_cast<Opcode>(in[0] & kOpcode);
  if (is_control(out.opcode) && !out.fin) return HeaderStatus::malformed;
  if (in.size() < 2) return HeaderStatus::need_more;

  out.masked = (in[1] & kMasked) != 0;
  if (out.masked != expect_masked) return HeaderStatus::malformed;
  size_t at = 2;
  out.payload_size = in[1] & kLength;
  if (out.payload_size > kMaxControlPayload) {
    if (is_control(out.opcode)) return HeaderStatus::malformed;
    const bool wide = out.payload_size == 127;
    at += wide ? 8 : 2;
    // The top bit is judged before the other seven bytes are there.
    if (wide && in.size() > 2 && (in[2] & 0x80) != 0) return HeaderStatus::malformed;
    if (in.size() < at) return HeaderStatus::need_more;
    out.payload_size = wide ? load_be64(in.data() + 2) : load_be16(in.data() + 2);
    if (out.payload_size < (wide ? 65536u : 126u)) return HeaderStatus::malformed;
  }
  out.mask = {};
  if (out.masked) {
    if (in.size() < at + 4) return HeaderStatus::need_more;
    std::memcpy(out.mask.data(), in.data() + at, 4);
    at += 4;
  }
  out.size = at;
  return HeaderStatus::done;
}

void apply_mask(ByteSpan data, const MaskKey& key, size_t phase) noexcept {
  const uint64_t wide = repeat_key(key, phase);
  if (wide == 0) return;

  uint8_t* p = data.data();
  size_t left = data.size();
  for (; left >= kBlock; left -= kBlock, p += kBlock) {
    mask_lane(p, wide);
    mask_lane(p + sizeof(Lane), wide);
    mask_lane(p + 2 * sizeof(Lane), wide);
    mask_lane(p + 3 * sizeof(Lane), wide);
  }
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    word ^= wide;
    std::memcpy(p, &word, 8);
  }
  uint8_t tail[8];
  std::memcpy(tail, &wide, 8);
  for (size_t i = 0; i < left; ++i) p[i] ^= tail[i];
}

size_t write_frame_header(uint8_t* payload, size_t payload_size, Opcode opcode, bool fin,
                          const MaskKey* mask) noexcept {
  const size_t size = frame_header_size(payload_size, mask != nullptr);
  uint8_t* p = payload - size;
  p[0] = static_cast<uint8_t>((fin ? kFin : 0) | static_cast<uint8_t>(opcode));
  if (payload_size < 126) {
    p[1] = static_cast<uint8_t>(payload_size);
  } else if (payload_size < 65536) {
    p[1] = 126;
    store_be16(p + 2, static_cast<uint16_t>(payload_size));
  } else {
    p[1] = 127;
    store_be64(p + 2, payload_size);
  }
  if (mask) {
    p[1] |= kMasked;
    std::memcpy(payload - 4, mask->data(), 4);
    apply_mask({payload, payload_size}, *mask);
  }
  return size;
}

void append_frame(Bytes& out, Opcode opcode, bool fin, ByteView payload, const MaskKey* mask) {
  const size_t at = out.size() + frame_header_size(payload.size(), mask != nullptr);
  out.resize(at + payload.size());
  if (!payload.empty()) std::memcpy(out.data() + at, payload.data(), payload.size());
  write_frame_header(out.data() + at, payload.size(), opcode, fin, mask);
}

}  // namespace smartvpn::ws
