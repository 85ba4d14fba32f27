#include "router/router.hpp"

#include "inet/ip_header.hpp"
#include "router/neighbour_noise.hpp"

namespace smartvpn::router {
namespace {

Verdict dropped(Drop drop) noexcept {
  Verdict verdict;
  verdict.drop = drop;
  return verdict;
}

Verdict engine_or(Drop drop, bool to_host = false) noexcept {
  Verdict verdict;
  verdict.drop = drop;
  verdict.to_engine = drop == Drop::none;
  verdict.to_host = verdict.to_engine && to_host;
  return verdict;
}

bool is_ours(RouteKind kind) noexcept { return kind == RouteKind::gateway || kind == RouteKind::host; }

bool is_icmp(uint8_t protocol) noexcept {
  return protocol == inet::ip_protocol::kIcmp || protocol == inet::ip_protocol::kIcmpV6;
}

// 127/8 and 0/8: some machines take the latter for themselves as well.
bool means_itself(const inet::IpAddress& ip) noexcept {
  return ip.is_v4() ? ip.is_loopback() || ip.bytes()[0] == 0 : ip.is_loopback() || ip.is_unspecified();
}

bool is_echo(const inet::InnerPacket& packet) noexcept {
  using namespace inet::icmp_type;
  if (packet.version == 4) return packet.icmp_type == kEcho || packet.icmp_type == kEchoReply;
  return packet.icmp_type == kV6Echo || packet.icmp_type == kV6EchoReply;
}

// Errors that a running flow needs; source quench and redirects only ever mislead.
bool is_useful_error(const inet::InnerPacket& packet) noexcept {
  using namespace inet::icmp_type;
  if (packet.version == 4) {
    return packet.icmp_type == kUnreachable || packet.icmp_type == kTimeExceeded ||
           packet.icmp_type == kParameterProblem;
  }
  return packet.icmp_type >= kV6Unreachable && packet.icmp_type <= kV6ParameterProblem;
}

}  // namespace

std::vector<HostService> default_host_services() {
  std::vector<HostService> out;
  for (uint8_t protocol : {inet::ip_protocol::kUdp, inet::ip_protocol::kTcp}) {
    HostService dns;
    dns.protocol = protocol;
    dns.first_port = dns.last_port = 53;
    out.push_back(dns);
  }
  for (uint8_t protocol : {inet::ip_protocol::kIcmp, inet::ip_protocol::kIcmpV6}) {
    HostService echo;
    echo.protocol = protocol;
    out.push_back(echo);
  }
  return out;
}

Router::Router(RouterOptions options, uint64_t seed) : options_(std::move(options)), fragments_(1024, seed) {}

void Router::set_options(RouterOptions options) { options_ = std::move(options); }

Verdict Router::from_client(uint64_t session, const inet::InnerPacket& packet, Time now) noexcept {
  if (is_link_control(packet)) return dropped(Drop::neighbour_noise);
  if (!table_.owns(session, packet.src)) {
    return dropped(is_neighbour_noise(packet) ? Drop::neighbour_noise : Drop::spoofed_source);
  }
  if (packet.has_quote && !table_.owns(session, packet.quoted.dst)) return dropped(Drop::icmp_mismatch);
  const RouteEntry& dst = table_.lookup(packet.dst);
  if (packet.fragment) return fragment_from_client(session, packet, dst, now);
  return to_destination(session, packet, dst);
}

// The first fragment is judged like any packet and its verdict kept. Only what is addressed to this
// machine is judged by ports, so only there a later fragment needs to know its first.
Verdict Router::fragment_from_client(uint64_t session, const inet::InnerPacket& packet, const RouteEntry& dst,
                                     Time now) noexcept {
  const inet::FragmentTable::Answer answer = fragments_.note(session, packet, now);
  if (packet.first_fragment()) {
    if (answer.drop == Drop::bad_fragment) return dropped(Drop::bad_fragment);
    const Verdict verdict = to_destination(session, packet, dst);
    fragments_.set_verdict(session, packet, verdict.drop, now);
    return verdict;
  }
  if (answer.drop != Drop::none) return dropped(answer.drop);
  if (!is_ours(dst.kind)) return to_destination(session, packet, dst);
  return engine_or(answer.first_known ? Drop::none : Drop::bad_fragment, true);
}

void Router::refuse_fragments(uint64_t session, const inet::InnerPacket& packet, Drop drop, Time now) noexcept {
  if (packet.first_fragment()) fragments_.set_verdict(session, packet, drop, now);
}

Verdict Router::from_engine(const inet::InnerPacket& packet, Time now) noexcept {
  if (is_link_control(packet) || is_neighbour_noise(packet)) return dropped(Drop::neighbour_noise);
  if (is_hairpin(packet.src)) return dropped(Drop::client_to_client);
  if (packet.fragment) {
    const inet::FragmentTable::Answer answer = fragments_.note(0, packet, now);
    if (answer.drop == Drop::bad_fragment) return dropped(Drop::bad_fragment);
  }
  const RouteEntry& dst = table_.lookup(packet.dst);
  Verdict verdict;
  if (is_group(packet, dst, verdict.drop)) {
    verdict.to_all = verdict.drop == Drop::none;
    return verdict;
  }
  if (dst.kind != RouteKind::client) return dropped(Drop::no_route);
  return to_client(0, dst);
}

Drop Router::still_to_client(uint64_t session, const inet::InnerPacket& packet) const noexcept {
  if (is_hairpin(packet.src)) return Drop::client_to_client;
  const RouteEntry& dst = table_.lookup(packet.dst);
  Drop refusal = Drop::none;
  if (is_group(packet, dst, refusal)) return refusal;
  return dst.session == session ? Drop::none : Drop::no_route;
}

// From a client to a client, where clients do not meet.
bool Router::is_hairpin(const inet::IpAddress& src) const noexcept {
  if (options_.client_to_client) return false;
  const RouteKind kind = table_.lookup(src).kind;
  return kind == RouteKind::client || kind == RouteKind::pool || hidden_ipv4(src) == Drop::client_to_client;
}

// True for a group; `refusal` is then the drop, or none where groups are enabled.
bool Router::is_group(const inet::InnerPacket& packet, const RouteEntry& dst, Drop& refusal) const noexcept {
  const bool broadcast = packet.limited_broadcast || dst.kind == RouteKind::broadcast;
  refusal = Drop::none;
  if (packet.multicast && !options_.allow_multicast) refusal = Drop::multicast;
  if (broadcast && !options_.allow_broadcast) refusal = Drop::broadcast;
  return packet.multicast || broadcast;
}

Verdict Router::to_client(uint64_t session, const RouteEntry& dst) const noexcept {
  Verdict verdict;
  verdict.client = dst.client;
  if (dst.session == 0 || dst.session == session) {
    verdict.drop = Drop::no_route;
    return verdict;
  }
  verdict.session = dst.session;
  return verdict;
}

Verdict Router::to_destination(uint64_t session, const inet::InnerPacket& packet,
                               const RouteEntry& dst) const noexcept {
  Drop refusal = Drop::none;
  if (is_group(packet, dst, refusal)) return engine_or(refusal);
  switch (dst.kind) {
    case RouteKind::gateway:
    case RouteKind::host:
      return engine_or(to_this_machine(packet, dst.kind), true);
    case RouteKind::client:
      return options_.client_to_client ? to_client(session, dst) : dropped(Drop::client_to_client);
    case RouteKind::pool:
      return dropped(options_.client_to_client ? Drop::no_route : Drop::client_to_client);
    case RouteKind::broadcast:
    case RouteKind::none:
      break;
  }
  return engine_or(beyond(packet.dst));
}

// A destination that is nobody's here. A router never forwards link-local addresses (RFC 3927, 4291).
Drop Router::beyond(const inet::IpAddress& dst) const noexcept {
  if (means_itself(dst)) return Drop::host_service;
  if (dst.is_link_local()) return Drop::no_route;
  return hidden_ipv4(dst);
}

// The same closed doors, reached through an IPv4 address inside an IPv6 one.
Drop Router::hidden_ipv4(const inet::IpAddress& ip) const noexcept {
  if (ip.is_v4()) return Drop::none;
  std::array<inet::IpAddress, 2> inside;
  const size_t count = inet::embedded_ipv4(ip, options_.nat64_prefixes, inside);
  for (size_t i = 0; i < count; ++i) {
    const RouteKind kind = table_.lookup(inside[i]).kind;
    const bool theirs = kind == RouteKind::client || kind == RouteKind::pool;
    if (theirs && !options_.client_to_client) return Drop::client_to_client;
    if (is_ours(kind) || means_itself(inside[i])) return Drop::host_service;
    if (kind == RouteKind::broadcast || inside[i] == inet::IpAddress::v4(0xffffffff)) return Drop::broadcast;
    if (inside[i].is_multicast()) return Drop::multicast;
    if (inside[i].is_link_local()) return Drop::no_route;
  }
  return Drop::none;
}

Drop Router::to_this_machine(const inet::InnerPacket& packet, RouteKind kind) const noexcept {
  bool open = false;
  if (packet.has_quote) {
    // About an answer of an open service: its source is the service.
    open = is_useful_error(packet) && service_open(packet.dst, kind, packet.quoted.protocol, packet.quoted.src_port);
  } else if (packet.has_icmp) {
    open = is_echo(packet) && service_open(packet.dst, kind, packet.protocol, 0);
  } else if (packet.has_ports) {
    open = service_open(packet.dst, kind, packet.protocol, packet.dst_port);
  }
  return open ? Drop::none : Drop::host_service;
}

bool Router::service_open(const inet::IpAddress& address, RouteKind kind, uint8_t protocol,
                          uint16_t port) const noexcept {
  for (const HostService& service : options_.host_services) {
    if (service.protocol != protocol) continue;
    if (!is_icmp(protocol) && (port < service.first_port || port > service.last_port)) continue;
    const auto& at = service.addresses;
    if (at.empty() ? kind == RouteKind::gateway : std::find(at.begin(), at.end(), address) != at.end()) return true;
  }
  return false;
}

}  // namespace smartvpn::router
