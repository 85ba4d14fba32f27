// Sends a super-packet whole where the other side takes it, and as ordinary packets where it does not.
#pragma once

#include "base/packet.hpp"
#include "base/reason.hpp"
#include "inet/super_packet.hpp"

namespace smartvpn::forward {

// `send(Packet&&)` gets the packet or its pieces, `drop(Drop, uint64_t packets)` what could not go:
// bad_super_packet for one that is none, too_big for segments over `mtu` (the packet is then still the
// caller's), queue_full when memory is out. Gives false for too_big.
template <class Send, class OnDrop>
bool send_whole_or_cut(Packet&& packet, bool takes_super_packets, uint16_t mtu, PacketPool& pool, Send&& send,
                       OnDrop&& drop) {
  inet::SuperInfo info;
  if (takes_super_packets && inet::inspect(packet.bytes(), packet.segment_size, mtu, info) == Drop::none) {
    send(std::move(packet));
    return true;
  }
  if (Drop bad = inet::parse_super(packet.bytes(), packet.segment_size, info); bad != Drop::none) {
    drop(bad, packet.segments);
    return true;
  }
  if (info.header_length + info.segment_size > mtu) return false;
  size_t cut = inet::segment(packet.bytes(), info, pool, send);
  if (cut < info.segments) drop(Drop::queue_full, info.segments - cut);
  return true;
}

}  // namespace smartvpn::forward
