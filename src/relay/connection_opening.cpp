// See connection.hpp. Here: until it is known where it goes.
#include "proxyproto/tlv.hpp"
#include "relay/connection.hpp"
#include "relay/first_words.hpp"
#include "relay/worker.hpp"

namespace smartvpn::relay {

void Connection::listen_for_name(ByteView bytes) {
  hold(bytes);
  if (forged_header()) return end(Reason::unexpected_proxy_header);
  // A forged header is no name, so both look at the same bytes.
  const auto result = first_words_->feed(bytes);
  const bool undecided = no_header_allowed_;  // the beginning of a header, still
  if (result == FirstWords::Result::need_more || undecided) {
    if (held_.size() < kMaxHeld) return;
  }
  facts_.host = std::move(first_words_->host);
  facts_.tls_version = first_words_->tls_version;
  take_route();
}

void Connection::take_route() {
  first_words_.reset();
  stage_ = Stage::connecting;
  std::optional<inet::IpAddress> ip;
  if (facts_.real) ip = facts_.real->ip;
  const Route* route = routing_->plan->routes.match(route_query(ip));
  if (!route) return end(Reason::no_route);
  if (const Reason refused = enter_route(*route); refused != Reason::none) return end(refused);
  if (route_->config.action.vpn) return hand_to_vpn();
  if (facts_.local.ip.is_unspecified()) facts_.local = client_->local();
  if (!enter_chain()) return end(Reason::relay_loop);
  if (route_->tls) return end_tls_here();
  connect_next();
}

// `ip`, the real one, outlives the query.
RouteQuery Connection::route_query(const std::optional<inet::IpAddress>& ip) const noexcept {
  return {facts_.local.port, facts_.host, &ip, facts_.tls_version};
}

// Instead of the one it is in, if it is in one.
Reason Connection::enter_route(const Route& route) {
  route_ = &route;
  auto state = routing_->routes[route.index];
  if (!worker_.shared().limits.enter_route(state->name, route.config.max_connections))
    return Reason::too_many_connections;
  if (in_route_) worker_.shared().limits.leave_route(route_state_->name);
  in_route_ = true;
  route_state_ = std::move(state);
  targets_ = route_state_->targets;
  return Reason::none;
}

// From here on the client is the server's, with its limits.
void Connection::hand_to_vpn() {
  const VpnDoor door = worker_.shared().vpn_door();
  if (!door.hand_over) return end(Reason::target_unreachable);
  auto watcher = client_->release();
  client_.reset();
  VpnHandover handover{watcher->release(), facts_.peer,       facts_.real,
                       facts_.vouched,     tlv_texts(facts_), std::move(held_)};
  watcher.reset();  // out of this loop before it is in another
  const Result<void> taken = door.hand_over(std::move(handover));
  ++route_state_->counters.connections_total;
  if (taken) {
    ++route_state_->counters.connections_relayed;
    worker_.relayed();
  }
  end(taken ? Reason::handed_to_vpn : Reason::target_unreachable);
}

// The id that the first proxy of a chain has made stays with it; where it comes by a second time, the chain goes round.
bool Connection::enter_chain() {
  if (!unique_id_.empty()) return true;
  const auto& action = route_->config.action;
  Bytes id;
  if (facts_.header) {
    const proxyproto::Tlv* received = proxyproto::find_tlv(facts_.header->tlvs, proxyproto::kTlvUniqueId);
    if (received && received->value.size() <= proxyproto::kMaxUniqueId) id = received->value;
  }
  if (id.empty() && action.send_proxy_protocol == config::RelayActionConfig::Send::v2 && action.tlvs.unique_id)
    id = make_unique_id(system_rng());
  if (id.empty()) return true;
  // Ours once it is in: where it is another's, or there is no memory for it, it is not ours to take away.
  if (!worker_.shared().unique_ids.enter(id)) return false;
  unique_id_ = std::move(id);
  return true;
}

}  // namespace smartvpn::relay
