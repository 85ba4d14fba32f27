// Decides where a classified packet may go: may this session send from that address, may it reach
// that destination, and which session does a packet from the engine belong to (behaviour.md "Clients,
// sessions, addresses" and "Inner packets"). Runs once per packet or super-packet on the shard that
// owns it; not thread-safe; no allocation.
#pragma once

#include <vector>

#include "base/clock.hpp"
#include "base/reason.hpp"
#include "inet/fragment_table.hpp"
#include "inet/inner_packet.hpp"
#include "router/route_table.hpp"

namespace smartvpn::router {

// A service of this machine that clients may reach.
struct HostService {
  uint8_t protocol = 0;                    // IP protocol number; ICMP and ICMPv6 mean echo
  uint16_t first_port = 0, last_port = 0;  // ignored for ICMP and ICMPv6
  std::vector<inet::IpAddress> addresses;  // empty: at every gateway address
};

// DNS over UDP and TCP, ICMP and ICMPv6 echo, all at the gateways.
std::vector<HostService> default_host_services();

struct RouterOptions {
  bool client_to_client = false;
  bool allow_multicast = false;
  bool allow_broadcast = false;  // limited and subnet broadcast
  std::vector<HostService> host_services = default_host_services();
  std::vector<inet::Cidr> nat64_prefixes;  // besides 64:ff9b::/96, for the IPv4 inside
};

// drop == none: exactly one of `session` (deliver to it), `to_engine` and `to_all` is set; `to_host`
// marks an engine packet that is addressed to this machine itself.
struct Verdict {
  Drop drop = Drop::none;
  uint64_t session = 0;
  uint64_t client = 0;  // of `session`; with no_route, perhaps: the client that has none
  bool to_engine = false;
  bool to_host = false;
  bool to_all = false;  // from the engine, to a group that is enabled: a copy for every session
};

class Router {
 public:
  // `seed` should be random: it hides which datagrams share a set of the fragment table.
  explicit Router(RouterOptions options = {}, uint64_t seed = 0);

  RouteTable& table() noexcept { return table_; }
  const RouteTable& table() const noexcept { return table_; }
  void set_options(RouterOptions options);
  const RouterOptions& options() const noexcept { return options_; }

  // A packet that `session` sent. Drops: neighbour_noise (neighbour discovery, MLD, IGMP, DHCP and
  // link-local chatter of the client's own device), spoofed_source, icmp_mismatch (it quotes a packet
  // that never went to this session), multicast, broadcast, host_service, client_to_client (also for
  // offline clients, the rest of the pool, and IPv4 addresses inside IPv6 ones), no_route (client
  // without a session, link-local destination, the sender itself), bad_fragment.
  Verdict from_client(uint64_t session, const inet::InnerPacket& packet, Time now) noexcept;

  // A later rule (a list that names ports) refused this first fragment after from_client() had passed
  // it: its later fragments follow.
  void refuse_fragments(uint64_t session, const inet::InnerPacket& packet, Drop drop, Time now) noexcept;

  // A packet that the engine delivered. Drops: neighbour_noise (the device's own), multicast,
  // broadcast, no_route, client_to_client (a hairpin: it claims to come from a client or the pool),
  // bad_fragment.
  Verdict from_engine(const inet::InnerPacket& packet, Time now) noexcept;

  // A packet that was let through to `session` and still waits for its carrier, held against what holds now:
  // none, no_route or client_to_client.
  Drop still_to_client(uint64_t session, const inet::InnerPacket& packet) const noexcept;

 private:
  Verdict fragment_from_client(uint64_t session, const inet::InnerPacket& packet, const RouteEntry& dst,
                               Time now) noexcept;
  Verdict to_destination(uint64_t session, const inet::InnerPacket& packet, const RouteEntry& dst) const noexcept;
  Verdict to_client(uint64_t session, const RouteEntry& dst) const noexcept;
  bool is_hairpin(const inet::IpAddress& src) const noexcept;
  Drop beyond(const inet::IpAddress& dst) const noexcept;
  Drop hidden_ipv4(const inet::IpAddress& ip) const noexcept;
  Drop to_this_machine(const inet::InnerPacket& packet, RouteKind kind) const noexcept;
  bool service_open(const inet::IpAddress& address, RouteKind kind, uint8_t protocol, uint16_t port) const noexcept;
  bool is_group(const inet::InnerPacket& packet, const RouteEntry& dst, Drop& refusal) const noexcept;

  RouterOptions options_;
  RouteTable table_;
  inet::FragmentTable fragments_;
};

}  // namespace smartvpn::router
