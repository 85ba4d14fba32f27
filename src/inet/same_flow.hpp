// Whether a packet is one more of the same flow as the one before it in a batch, so that what was found out about that
// one holds for it as well: a bulk transfer is classified and routed once a batch, and not once a packet. Pure.
#pragma once

#include "inet/inner_packet.hpp"

namespace smartvpn::inet {

// `info` is what classify() gave for `before`. True: classify() would accept `packet` too, and `info` is now what it
// would have given; addresses, protocol and ports are those of `before`, so every rule that reads nothing else says the
// same. False: ask classify(); `info` is as it was. Only whole TCP and UDP packets with plain headers (no options, no
// extension headers, no fragments, no group as destination) and, for TCP, flags that begin nothing are ever
// the same.
[[nodiscard]] bool is_same_flow(ByteView before, ByteView packet, InnerPacket& info) noexcept;

}  // namespace smartvpn::inet
