// Clamps the MSS option of TCP SYNs to what the tunnel carries, both ways (behaviour.md, MTU).
#pragma once

#include "inet/inner_packet.hpp"
#include "inet/ip_header.hpp"

namespace smartvpn::inet {

// Lowers the MSS option of a SYN or SYN-ACK to `mtu` less the IP and TCP fixed headers; never raises
// it, never adds one (without it peers assume 536 or 1220). `info` is classify()'s answer for these
// bytes; the packet's checksum must be complete (finish_checksum() first) and is updated
// incrementally, so a wrong one stays wrong. True if something was changed.
bool clamp_mss(ByteSpan packet, const InnerPacket& info, uint16_t mtu) noexcept;

// Cheap question before asking for a writable packet.
inline bool wants_mss_clamp(const InnerPacket& info) noexcept {
  return info.protocol == ip_protocol::kTcp && info.has_ports && (info.tcp_flags & tcp_flag::kSyn) != 0;
}

}  // namespace smartvpn::inet
