// What one read from a tun device becomes, by the virtio header in front of it: one packet whose checksum is finished,
// one super-packet in the form that sessions send, or several packets where a super-packet is too long for a peer.
// Pure.
#pragma once

#include <vector>

#include "base/packet.hpp"
#include "base/reason.hpp"
#include "forward/tun/virtio_header.hpp"

namespace smartvpn::forward {

struct ReadDrop {
  Drop why = Drop::none;
  uint64_t packets = 0;
};

// Appends to `out`. What could not be: malformed_packet or bad_super_packet where header and packet contradict each
// other, engine_full when memory is out, then with how many packets.
ReadDrop take_device_read(Packet packet, const VirtioHeader& header, PacketPool& pool, std::vector<Packet>& out);

}  // namespace smartvpn::forward
