// Control messages of UDP sockets: what the kernel says beside a datagram, and what we say beside one of ours. No calls.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "net/udp_socket.hpp"

namespace smartvpn::net {

constexpr size_t kControlSize = 128;  // room for all of them, either way

// Fills segment_size, to, interface and ecn. What is cut off, unknown or odd is left out.
void read_control(const msghdr& message, Datagram& out) noexcept;

// Writes what `message` wants said into `control` (kControlSize bytes, aligned as cmsghdr); gives the size, 0 for nothing.
// `v6`: the socket's family.
size_t write_control(const OutDatagram& message, bool segmented, bool with_source, uint8_t* control) noexcept;

}  // namespace smartvpn::net
