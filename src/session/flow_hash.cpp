// Which flow an inner packet belongs to, for fair queueing. A packet that is cut short or unusual gets
// a hash of what there is; nothing is judged here.
#include "session/send_queue.hpp"

namespace smartvpn::session {
namespace {

constexpr uint8_t kTcp = 6, kUdp = 17, kSctp = 132;

uint64_t mix(uint64_t h, uint64_t v) noexcept {
  h = (h ^ v) * 0x9e3779b97f4a7c15u;
  return h ^ (h >> 32);
}

bool has_ports(uint8_t protocol) noexcept { return protocol == kTcp || protocol == kUdp || protocol == kSctp; }

uint64_t mix_ports(uint64_t h, ByteView packet, size_t offset) noexcept {
  return packet.size() >= offset + 4 ? mix(h, load_be32(packet.data() + offset)) : h;
}

}  // namespace

uint32_t flow_hash(ByteView packet, uint32_t seed) noexcept {
  uint64_t h = mix(0x736d617274u, seed);
  const uint8_t* p = packet.data();
  if (packet.size() >= 20 && p[0] >> 4 == 4) {
    h = mix(mix(h, load_be64(p + 12)), p[9]);
    const bool fragment = (load_be16(p + 6) & 0x3fff) != 0;
    if (has_ports(p[9]) && !fragment) h = mix_ports(h, packet, size_t{4} * (p[0] & 15));
  } else if (packet.size() >= 40 && p[0] >> 4 == 6) {
    for (size_t i = 8; i < 40; i += 8) h = mix(h, load_be64(p + i));
    h = mix(h, p[6]);
    if (has_ports(p[6])) h = mix_ports(h, packet, 40);
  }
  return static_cast<uint32_t>(h ^ (h >> 29));
}

}  // namespace smartvpn::session
