// CRC32c by table, one byte a step: reflected polynomial 0x82f63b78 (RFC 4960 appendix B).
#include "proxyproto/crc32c.hpp"

namespace smartvpn::proxyproto {
namespace {

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    table[i] = crc;
  }
  return table;
}
constexpr auto kTable = make_table();

}  // namespace

uint32_t crc32c(ByteView bytes, uint32_t crc) noexcept {
  crc = ~crc;
  for (uint8_t byte : bytes) crc = crc >> 8 ^ kTable[(crc ^ byte) & 0xff];
  return ~crc;
}

}  // namespace smartvpn::proxyproto
