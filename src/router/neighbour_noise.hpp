// What a client's (or our own) device says to its link of its own accord. None of it is ever routed,
// and none of it is an attack: it has a name of its own so that it does not count as spoofing.
#pragma once

#include "inet/inner_packet.hpp"

namespace smartvpn::router {

// Neighbour and router discovery, redirects, MLD, IGMP, multicast router discovery: whatever the source.
bool is_link_control(const inet::InnerPacket& packet) noexcept;

// From the unspecified or a link-local address: link control, DHCP, and anything sent to a group or to
// another link-local address.
bool is_neighbour_noise(const inet::InnerPacket& packet) noexcept;

}  // namespace smartvpn::router
