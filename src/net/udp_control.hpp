// Control messages of UDP sockets: what the kernel says beside a datagram, and what we say beside one of ours. No
// calls.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "net/udp_socket.hpp"

namespace smartvpn::net {

constexpr size_t kControlSize =
    256;  // room for all of them either way, and for what the host of a lent socket asked for

// Fills segment_size, to, interface and ecn. What is cut off, unknown or odd is left out.
void read_control(ByteView control, Datagram& out) noexcept;

// Writes what `message` wants said into `control` (kControlSize bytes); gives the size, 0 for nothing. `to`: where it
// goes, also from a connected socket, whose messages do not say it.
size_t write_control(const OutDatagram& message, const inet::IpAddress& to, bool segmented, bool with_source,
                     uint8_t* control) noexcept;

}  // namespace smartvpn::net
