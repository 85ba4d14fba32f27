// A packet of the `host` engine inside the caller's arena (c-api.md, Packets).
#pragma once

#include <cstdint>

namespace smartvpn::forward {

struct HostPacket {
  uint64_t offset = 0;  // into the arena
  uint32_t length = 0;
  uint32_t segment_size = 0;  // 0: a single packet
  uint64_t session_id = 0;    // where it came from; ignored on write, the inner destination decides
};

}  // namespace smartvpn::forward
