// Steering within a SO_REUSEPORT group: which of the sockets on one port gets a datagram. WireGuard's messages 2 to 4
// name a receiver index that this end has chosen, and its lowest byte says whose it is; message 1 has none and goes by
// its source (SO_ATTACH_REUSEPORT_CBPF, Linux 4.5; message layouts: WireGuard white paper, section 5.4).
#pragma once

#include "base/result.hpp"

namespace smartvpn::net {

constexpr unsigned kMaxSteered = 64;

// `fd`: any socket of a bound group of `shards` (1..kMaxSteered), whose members are numbered in the order in which they
// were bound. Responses, cookies and data go to the member `lowest byte of the receiver index % shards`; everything
// else to the one that the kernel's hash of both endpoints chooses, as does what names a member that is not there.
// Holds for the group until it is gone; when a member is closed, the last one takes its number. SYSTEM where the kernel
// refuses: then all goes by the hash. Any thread.
Result<void> steer_by_receiver(int fd, unsigned shards);

}  // namespace smartvpn::net
