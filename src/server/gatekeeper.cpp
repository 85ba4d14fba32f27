#include "server/gatekeeper.hpp"

#include <algorithm>

#include "base/rng.hpp"

namespace smartvpn::server {
namespace {

using Mode = config::ProxyProtocolConfig::Mode;
using Addressless = config::ProxyProtocolConfig::Addressless;

acl::RateLimits limits_of(const config::SecurityConfig& security) {
  acl::RateLimits limits;
  limits.connections_per_source = security.max_connections_per_ip;
  limits.new_per_minute = security.new_connections_per_ip_per_minute;
  return limits;
}

std::optional<inet::IpAddress> ip_of(const std::optional<inet::Endpoint>& endpoint) {
  if (!endpoint) return std::nullopt;
  return endpoint->ip;
}

}  // namespace

Gatekeeper::Gatekeeper(const Parts& parts)
    : parts_(parts),
      limiter_(limits_of(parts.plan.config.security), system_rng().u64()),
      handshakes_(parts.plan.config.security.max_handshakes_in_progress) {}

void Gatekeeper::reconfigured() {
  limiter_.set_limits(limits_of(parts_.plan.config.security));
  handshakes_.set_max(parts_.plan.config.security.max_handshakes_in_progress);
}

Reason Gatekeeper::on_accept(const session::Connection& connection) {
  Entry& entry = entries_[connection.id];
  auto& scope = parts_.reporter.scope(connection.listener);
  ++scope.connections_total;
  ++scope.connections_open;
  const ListenerPlan& listener = parts_.plan.listeners[connection.listener];
  if (listener.config.proxy_protocol.mode == Mode::off) return Reason::none;
  if (!listener.trusted.contains(connection.peer_addr.ip)) return Reason::untrusted_proxy;
  // Until its header is complete a connection counts against its proxy, which serves many clients
  // and so has the bound of all handshakes together.
  uint32_t& waiting = awaiting_header_[connection.peer_addr.ip];
  ++waiting;
  entry.stage = Stage::header;
  return waiting > parts_.plan.config.security.max_handshakes_in_progress ? Reason::too_many_connections : Reason::none;
}

void Gatekeeper::leave_header_stage(const session::Connection& connection, Entry& entry) noexcept {
  if (entry.stage != Stage::header) return;
  entry.stage = Stage::stranger;
  auto it = awaiting_header_.find(connection.peer_addr.ip);
  if (it != awaiting_header_.end() && --it->second == 0) awaiting_header_.erase(it);
}

Reason Gatekeeper::on_real_address(const session::Connection& connection) {
  Entry& entry = entries_[connection.id];
  leave_header_stage(connection, entry);
  const auto& proxy = parts_.plan.listeners[connection.listener].config.proxy_protocol;
  if (!connection.real_addr && proxy.addressless == Addressless::refuse) return Reason::proxy_addressless;
  if (Reason reason = parts_.plan.connection_policy.judge(ip_of(connection.real_addr)); reason != Reason::none)
    return reason;
  inet::IpAddress source = connection.real_addr ? connection.real_addr->ip : connection.peer_addr.ip;
  if (Reason reason = limiter_.open(source, parts_.loop.now()); reason != Reason::none) return reason;
  entry.counted = source;
  if (!handshakes_.enter()) return Reason::too_many_handshakes;
  entry.in_handshake = true;
  parts_.reporter.accepted(connection);
  return Reason::none;
}

bool Gatekeeper::may_start_handshake(const session::Connection& connection) {
  if (handshakes_left_ == 0) return false;
  --handshakes_left_;
  ++parts_.reporter.scope(connection.listener).handshakes_total;
  return true;
}

Reason Gatekeeper::judge(const session::Connection& connection, const ClientDirectory::Found& found) const {
  if (!found.client->enabled) return Reason::client_disabled;
  if (found.client->expired(wall_clock_ms())) return Reason::client_expired;
  return found.policy->judge(ip_of(connection.real_addr));
}

// A further session within the ceiling of all, or one that will replace another of the same client.
bool Gatekeeper::has_room(const registry::Client& client) const {
  const uint32_t ceiling = parts_.plan.config.limits.sessions;
  return ceiling == 0 || parts_.sessions.size() < ceiling ||
         parts_.sessions.of_client(client.id).size() >= std::max<size_t>(client.max_sessions, 1);
}

std::optional<session::IdentityVerdict> Gatekeeper::on_identity(const session::Connection& connection,
                                                                const session::Identity& identity) {
  session::IdentityVerdict verdict;
  Entry& entry = entries_[connection.id];
  auto found = parts_.clients.find_by_key(identity.static_key);
  // A rekey may not change who somebody is. The number, because an id may be given to another key.
  if (!found.client || (identity.rekey && entry.admitted.client_number != found.number)) {
    verdict.reason = Reason::unknown_client;
    return verdict;
  }
  verdict.grant.client_id = found.client->id;
  verdict.reason = judge(connection, found);
  if (verdict.reason == Reason::none && !identity.rekey) verdict.reason = offer(entry, found, identity);
  if (verdict.reason == Reason::too_many_sessions) verdict.retry_after_s = 10;
  if (verdict.reason != Reason::none) return verdict;
  const config::NetworkConfig& network = parts_.plan.config.network;
  verdict.grant.addresses = entry.admitted.addresses;
  verdict.grant.routes = network.routes;
  verdict.grant.dns = network.dns;
  verdict.grant.mtu = network.mtu;
  return verdict;
}

// The tentative lease.
Reason Gatekeeper::offer(Entry& entry, const ClientDirectory::Found& found, const session::Identity& identity) {
  if (!has_room(*found.client)) return Reason::too_many_sessions;
  registry::LeaseRequest request{found.client->id, found.client->addresses, identity.wanted_addresses,
                                 found.client->max_sessions};
  Admitted admitted;
  admitted.client_id = found.client->id;
  admitted.client_number = found.number;
  admitted.expires_at_ms = found.client->expires_at_ms;
  if (entry.offered) parts_.pool.release(entry.admitted.lease);
  entry.offered = false;
  auto offer = parts_.pool.offer(request);
  if (offer.reason != Reason::none) return offer.reason;
  // From here on nothing allocates: the lease is known to its entry or does not exist.
  admitted.lease = offer.lease;
  admitted.addresses = std::move(offer.addresses);
  entry.admitted = std::move(admitted);
  entry.offered = true;
  return Reason::none;
}

const Gatekeeper::Admitted* Gatekeeper::confirm(const session::Connection& connection, uint64_t* displaced,
                                                Reason* why) {
  Entry& entry = entries_[connection.id];
  *displaced = 0;
  *why = Reason::client_removed;
  if (!entry.offered) return nullptr;
  // The entry may have changed between message 2 and the first data, or be another's by now.
  auto found = parts_.clients.find(entry.admitted.client_id);
  if (!found.client || found.number != entry.admitted.client_number) return nullptr;
  *why = judge(connection, found);
  if (*why != Reason::none) return nullptr;
  *why = Reason::too_many_sessions;
  if (!has_room(*found.client)) return nullptr;
  auto commit = parts_.pool.commit(entry.admitted.lease);
  *why = Reason::replaced;  // a newer session of the same client was faster
  if (!commit.ok) return nullptr;
  *why = Reason::none;
  *displaced = commit.displaced;
  entry.stage = Stage::session;
  if (entry.in_handshake) handshakes_.leave();
  entry.in_handshake = false;
  return &entry.admitted;
}

void Gatekeeper::on_closed(const session::Connection& connection, Reason reason, const std::string& detail) noexcept {
  auto it = entries_.find(connection.id);
  if (it == entries_.end()) return;
  leave_header_stage(connection, it->second);
  Entry entry = std::move(it->second);
  entries_.erase(it);
  --parts_.reporter.scope(connection.listener).connections_open;
  if (entry.counted) limiter_.closed(entry.counted, parts_.loop.now());
  if (entry.in_handshake) handshakes_.leave();
  bool was_session = entry.stage == Stage::session && session_end_(connection.id, reason, detail);
  if (entry.offered) parts_.pool.release(entry.admitted.lease);
  if (was_session || reason == Reason::none) return;  // `none`: it did what it came for, a health check
  if (reason == Reason::proxy_local)
    parts_.reporter.scope(connection.listener).reject(reason);
  else
    parts_.reporter.rejected(connection, reason, detail, parts_.loop.now());
}

}  // namespace smartvpn::server
