// See device_read.hpp. The kernel is no stranger, but whoever may write to its side of the device chooses these bytes.
#include "forward/tun/device_read.hpp"

namespace smartvpn::forward {

ReadDrop take_device_read(Packet packet, const VirtioHeader& header, PacketPool& pool, std::vector<Packet>& out) {
  if (!header.is_gso()) {
    if ((header.flags & VirtioHeader::kNeedsChecksum) &&
        !inet::finish_checksum(packet.bytes(), header.csum_start, header.csum_offset))
      return {Drop::malformed_packet, 1};
    out.push_back(std::move(packet));
    return {};
  }
  inet::SuperInfo info;
  if (inet::parse_super(packet.bytes(), header.gso_size, info) != Drop::none) return {Drop::bad_super_packet, 1};
  if (info.segments > 1 && info.segments <= inet::kMaxSegments) {
    inet::prepare_partial(packet.bytes(), info);
    packet.segment_size = info.segment_size;
    packet.segments = info.segments;
    out.push_back(std::move(packet));
    return {};
  }
  // One segment is an ordinary packet; more than a peer would take go on cut.
  const size_t made = inet::segment(packet.bytes(), info, pool, [&out](Packet&& p) { out.push_back(std::move(p)); });
  if (made < info.segments) return {Drop::engine_full, info.segments - made};
  return {};
}

}  // namespace smartvpn::forward
