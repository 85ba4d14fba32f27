#include "router/neighbour_noise.hpp"

#include "inet/ip_header.hpp"

namespace smartvpn::router {

bool is_link_control(const inet::InnerPacket& packet) noexcept {
  if (packet.version == 4) return packet.protocol == inet::ip_protocol::kIgmp;
  if (!packet.has_icmp) return false;
  const uint8_t type = packet.icmp_type;
  const bool listener = (type >= 130 && type <= 132) || type == 143;  // MLDv1, MLDv2
  const bool neighbour = type >= 133 && type <= 137;                  // RFC 4861
  const bool router_discovery = type >= 151 && type <= 153;           // RFC 4286
  return listener || neighbour || router_discovery;
}

bool is_neighbour_noise(const inet::InnerPacket& packet) noexcept {
  if (!packet.src.is_unspecified() && !packet.src.is_link_local()) return false;
  if (is_link_control(packet)) return true;
  if (packet.multicast || packet.limited_broadcast || packet.dst.is_link_local()) return true;
  const bool dhcp_v4 = packet.src_port == 68 && packet.dst_port == 67;
  const bool dhcp_v6 = packet.src_port == 546 && packet.dst_port == 547;
  return packet.has_ports && packet.protocol == inet::ip_protocol::kUdp && (dhcp_v4 || dhcp_v6);
}

}  // namespace smartvpn::router
