// The second half of classify(): the upper-layer header and what an ICMP error quotes. Used by
// inner_packet.cpp only.
#pragma once

#include "inet/inner_packet.hpp"

namespace smartvpn::inet {

// `packet` is cut to its total length and the IP-layer fields of `out` are filled.
Drop read_transport(ByteView packet, InnerPacket& out) noexcept;

}  // namespace smartvpn::inet
