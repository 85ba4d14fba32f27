#include "inet/mss.hpp"

#include "inet/checksum.hpp"

namespace smartvpn::inet {
namespace {

constexpr uint8_t kEnd = 0, kNop = 1, kMss = 2;

uint16_t swapped(uint16_t v) noexcept { return static_cast<uint16_t>(v << 8 | v >> 8); }

// Lowers the value at tcp[at]; the checksum counts a word at an odd offset with its bytes swapped.
bool lower(uint8_t* tcp, size_t at, uint16_t limit) noexcept {
  const uint16_t from = load_be16(tcp + at);
  if (from <= limit) return false;
  store_be16(tcp + at, limit);
  const bool odd = at % 2 != 0;
  store_be16(tcp + 16, update_checksum(load_be16(tcp + 16), odd ? swapped(from) : from, odd ? swapped(limit) : limit));
  return true;
}

}  // namespace

bool clamp_mss(ByteSpan packet, const InnerPacket& info, uint16_t mtu) noexcept {
  const size_t headers = (info.version == 6 ? kIpv6HeaderSize : kIpv4HeaderSize) + kTcpHeaderSize;
  if (!wants_mss_clamp(info) || mtu <= headers) return false;
  const auto limit = static_cast<uint16_t>(mtu - headers);
  uint8_t* tcp = packet.data() + info.transport_offset;
  const size_t end = info.payload_offset - info.transport_offset;
  bool changed = false;
  for (size_t at = kTcpHeaderSize; at < end && tcp[at] != kEnd;) {
    if (tcp[at] == kNop) {
      ++at;
      continue;
    }
    if (at + 2 > end || tcp[at + 1] < 2 || at + tcp[at + 1] > end) break;
    if (tcp[at] == kMss && tcp[at + 1] == 4) changed |= lower(tcp, at + 2, limit);
    at += tcp[at + 1];
  }
  return changed;
}

}  // namespace smartvpn::inet
