// WebSocket frames (RFC 6455 section 5.2): header bytes to struct and back, and masking. Stateless;
// what a sequence of frames means is message_machine.hpp's business.
#pragma once

#include <array>

#include "base/bytes.hpp"

namespace smartvpn::ws {

enum class Opcode : uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

constexpr bool is_control(Opcode opcode) noexcept { return static_cast<uint8_t>(opcode) >= 8; }

constexpr size_t kMaxFrameHeader = 14;  // 2 + 8 bytes of length + 4 of mask
constexpr size_t kMaxControlPayload = 125;

using MaskKey = std::array<uint8_t, 4>;

struct FrameHeader {
  bool fin = false;
  Opcode opcode = Opcode::continuation;
  bool masked = false;
  uint64_t payload_size = 0;  // below 2^63
  MaskKey mask{};             // zeros when not masked
  size_t size = 0;            // bytes of the header itself: 2 to 14
};

enum class HeaderStatus : uint8_t { done, need_more, malformed };

// Reads one header from the front of `in`. Judges every byte as soon as it is there, so a wrong first
// byte is `malformed` even when it comes alone: RSV bits set (no extension is ever negotiated),
// reserved opcodes, mask bit other than `expect_masked`, control frames fragmented or over 125 bytes,
// lengths not in their shortest form or of 2^63 and more. `out` means something only when `done`.
HeaderStatus decode_frame_header(ByteView in, bool expect_masked, FrameHeader& out) noexcept;

// XORs `data` with the key, starting at key byte `phase` mod 4, eight bytes or more at a time.
void apply_mask(ByteSpan data, const MaskKey& key, size_t phase = 0) noexcept;

// Bytes a header for this payload takes.
constexpr size_t frame_header_size(size_t payload_size, bool masked) noexcept {
  return (payload_size < 126 ? 2u : payload_size < 65536 ? 4u : 10u) + (masked ? 4u : 0u);
}

// Writes a header that ends right in front of `payload` and gives its size (2 to 14); the caller
// guarantees that many writable bytes there. With a key the payload is masked in place.
size_t write_frame_header(uint8_t* payload, size_t payload_size, Opcode opcode, bool fin, const MaskKey* mask) noexcept;

// Appends a whole frame; a copy, for control frames and tests, not for the data path.
void append_frame(Bytes& out, Opcode opcode, bool fin, ByteView payload, const MaskKey* mask);

}  // namespace smartvpn::ws
