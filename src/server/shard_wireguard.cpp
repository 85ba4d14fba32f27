// What a shard does for WireGuard beyond what every carrier needs: sessions that move, clients that are asleep, and
// where clients find it.
#include "server/shard.hpp"

namespace smartvpn::server {

inet::IpAddress dialable(const inet::IpAddress& bound) {
  return !bound.is_unspecified() ? bound : *inet::IpAddress::parse(bound.is_v4() ? "127.0.0.1" : "::1");
}

// What clients dial, where the configuration does not say.
std::string Shard::wireguard_endpoint() const {
  if (!plan_.config.network.wireguard_endpoint.empty()) return plan_.config.network.wireguard_endpoint;
  for (const BoundEndpoint& endpoint : endpoints_)
    if (endpoint.transport == session::Transport::wireguard)
      return inet::Endpoint{dialable(endpoint.address.ip), endpoint.address.port}.text();
  return {};
}

void Shard::on_roamed(uint64_t session, const session::Connection& connection) {
  LiveSession* live = sessions_.find(session);
  if (!live) return;
  live->peer.listener = connection.listener;
  live->peer.peer_addr = connection.peer_addr;
  live->peer.real_addr = connection.real_addr;
  live->roamed = true;
  tell_roamed(*live);
}

// At most once a second for each session; tick() tells what is left.
void Shard::tell_roamed(LiveSession& session) noexcept {
  const Time now = loop_->now();
  if (!session.roamed || now < session.roaming_told + seconds(1)) return;
  session.roamed = false;
  session.roaming_told = now;
  reporter_.session_roamed(session);
}

bool Shard::deliver_verdict(uint64_t connection, const session::IdentityVerdict& verdict) noexcept {
  for (auto& listener : listeners_)
    if (listener && listener->deliver_verdict(connection, verdict)) return true;
  return wireguard_->deliver_verdict(connection, verdict);
}

void Shard::on_awaited(uint64_t session, Packet&& packet) {
  if (LiveSession* live = sessions_.find(session)) data_path_.deliver_awaited(*live, std::move(packet));
}

}  // namespace smartvpn::server
