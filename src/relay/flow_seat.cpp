// See flow_seat.hpp.
#include "relay/flow_seat.hpp"

#include <utility>

namespace smartvpn::relay {

FlowSeat::FlowSeat(FlowSeat&& other) noexcept
    : shared_(other.shared_),
      loop_(other.loop_),
      address_(std::exchange(other.address_, {})),
      route_(std::exchange(other.route_, {})),
      in_relay_(std::exchange(other.in_relay_, false)),
      port_(std::exchange(other.port_, std::nullopt)) {}

Reason FlowSeat::enter(const ConnectionFacts& facts, const RelayPlan& plan, const Route** route) {
  std::optional<inet::IpAddress> ip;
  if (facts.real) ip = facts.real->ip;
  if (const Reason refused = plan.sources.judge(ip); refused != Reason::none) return refused;
  *route = plan.routes.match({facts.local.port, {}, &ip, 0, config::RelayProtocol::udp});
  if (!*route) return Reason::no_route;
  const config::RelayRouteConfig& wanted = (*route)->config;
  std::string name = wanted.name;
  if (!shared_->limits.enter_route(name, wanted.max_connections)) return Reason::too_many_connections;
  route_ = std::move(name);
  // Last, because it cannot be taken back: it counts against what an address may begin a minute.
  const Reason refused = shared_->limits.enter_address(facts.judged(), loop_->now());
  if (refused == Reason::none) address_ = facts.judged();
  return refused;
}

bool FlowSeat::enter_relay() { return in_relay_ = shared_->limits.enter(); }

void FlowSeat::enter_port(const SocketKey& port) {
  shared_->udp_ports.flow_began(port);
  port_ = port;
}

void FlowSeat::leave() noexcept {
  if (port_) shared_->udp_ports.flow_ended(*port_);
  port_.reset();
  if (std::exchange(in_relay_, false)) shared_->limits.leave();
  if (const inet::IpAddress address = std::exchange(address_, {})) shared_->limits.leave_address(address, loop_->now());
  if (!route_.empty()) shared_->limits.leave_route(route_);
  route_.clear();
}

}  // namespace smartvpn::relay
