// SHA-1 after RFC 3174, method 1, one-shot. Used on a public 60-byte text per WebSocket upgrade.
#include "crypto/sha1.hpp"

#include <bit>

namespace smartvpn::crypto {
namespace {

using State = std::array<uint32_t, 5>;

void compress(State& state, const uint8_t* block) noexcept {
  uint32_t w[80];
  for (size_t t = 0; t < 16; ++t) w[t] = load_be32(block + 4 * t);
  for (size_t t = 16; t < 80; ++t) w[t] = std::rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
  auto [a, b, c, d, e] = state;
  for (size_t t = 0; t < 80; ++t) {
    uint32_t f = t < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                 : t < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                 : t < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                          : (b ^ c ^ d) + 0xca62c1d6;
    uint32_t next = std::rotl(a, 5) + f + e + w[t];
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
}

}  // namespace

std::array<uint8_t, 20> sha1(ByteView bytes) noexcept {
  State state{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  const uint64_t bits = uint64_t{bytes.size()} * 8;
  for (; bytes.size() >= 64; bytes = bytes.subspan(64)) compress(state, bytes.data());

  uint8_t tail[128] = {};
  std::copy(bytes.begin(), bytes.end(), tail);
  tail[bytes.size()] = 0x80;
  const size_t size = bytes.size() + 9 <= 64 ? 64 : 128;
  store_be64(tail + size - 8, bits);
  for (size_t at = 0; at < size; at += 64) compress(state, tail + at);

  std::array<uint8_t, 20> out;
  for (size_t i = 0; i < 5; ++i) store_be32(out.data() + 4 * i, state[i]);
  return out;
}

}  // namespace smartvpn::crypto
