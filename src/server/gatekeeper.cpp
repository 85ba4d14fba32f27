#include "server/gatekeeper.hpp"

#include <algorithm>

#include "base/rng.hpp"
#include "inet/prefix_claims.hpp"

namespace smartvpn::server {
namespace {

using Mode = config::ProxyProtocolConfig::Mode;
using Addressless = config::ProxyProtocolConfig::Addressless;

std::optional<inet::IpAddress> ip_of(const std::optional<inet::Endpoint>& endpoint) {
  if (!endpoint) return std::nullopt;
  return endpoint->ip;
}

}  // namespace

Gatekeeper::Gatekeeper(const Parts& parts)
    : parts_(parts), control_(parts.control), authorize_timer_(parts.loop, [this] { tick(); }) {}

void Gatekeeper::reconfigured() {
  MutexLock lock(control_.mutex);
  control_.limiter.set_limits(rate_limits(plan().config.security));
  control_.handshakes.set_max(plan().config.security.max_handshakes_in_progress);
}

Reason Gatekeeper::on_accept(const session::Connection& connection) {
  const bool full = parts_.memory.is_full_for_strangers();
  Entry& entry = entries_[connection.id];
  count_connections();
  auto& scope = parts_.reporter.scope(connection.listener);
  ++scope.connections_total;
  ++scope.connections_open;
  if (full) return Reason::out_of_memory;
  const ListenerPlan& listener = plan().listeners[connection.listener];
  if (listener.config.proxy_protocol.mode == Mode::off || connection.adopted) return Reason::none;
  if (!listener.trusted.contains(connection.peer_addr.ip)) return Reason::untrusted_proxy;
  return enter_header_stage(connection, entry);
}

void Gatekeeper::count_connections() noexcept {
  parts_.memory.set_connections(entries_.size());
  parts_.memory.set_strangers(entries_.size() - confirmed_);
}

// Until its header is complete a connection counts against its proxy, which serves many clients
// and so has the bound of all handshakes together.
Reason Gatekeeper::enter_header_stage(const session::Connection& connection, Entry& entry) {
  MutexLock lock(control_.mutex);
  uint32_t& waiting = control_.awaiting_header[connection.peer_addr.ip];
  ++waiting;
  entry.stage = Stage::header;
  return waiting > plan().config.security.max_handshakes_in_progress ? Reason::too_many_connections : Reason::none;
}

Reason Gatekeeper::on_http_proxy(const session::Connection& connection) {
  const bool told = connection.behind_proxy;
  // A PROXY header without an address leaves nobody who could be believed.
  if (told && !connection.real_addr) return Reason::untrusted_proxy;
  const inet::IpAddress& proxy = told ? connection.real_addr->ip : connection.peer_addr.ip;
  if (!plan().listeners[connection.listener].real_ip_trusted.contains(proxy)) return Reason::untrusted_proxy;
  if (Reason reason = plan().connection_policy.judge(proxy); reason != Reason::none) return reason;
  Entry& entry = entries_[connection.id];
  return entry.stage == Stage::header ? Reason::none : enter_header_stage(connection, entry);
}

void Gatekeeper::leave_header_stage(const session::Connection& connection, Entry& entry) noexcept {
  if (entry.stage != Stage::header) return;
  entry.stage = Stage::stranger;
  auto it = control_.awaiting_header.find(connection.peer_addr.ip);
  if (it != control_.awaiting_header.end() && --it->second == 0) control_.awaiting_header.erase(it);
}

Reason Gatekeeper::on_real_address(const session::Connection& connection) {
  Entry& entry = entries_[connection.id];
  MutexLock lock(control_.mutex);
  leave_header_stage(connection, entry);
  const auto& proxy = plan().listeners[connection.listener].config.proxy_protocol;
  if (!connection.real_addr && proxy.addressless == Addressless::refuse) return Reason::proxy_addressless;
  if (Reason reason = plan().connection_policy.judge(ip_of(connection.real_addr)); reason != Reason::none)
    return reason;
  inet::IpAddress source = connection.real_addr ? connection.real_addr->ip : connection.peer_addr.ip;
  if (Reason reason = control_.limiter.open(source, parts_.loop.now()); reason != Reason::none) return reason;
  entry.counted = source;
  if (!control_.handshakes.enter()) return Reason::too_many_handshakes;
  entry.in_handshake = true;
  lock.unlock();
  parts_.reporter.accepted(connection);
  return Reason::none;
}

Reason Gatekeeper::may_send(const session::Connection& there) {
  if (!there.real_addr && plan().listeners[there.listener].config.proxy_protocol.addressless == Addressless::refuse)
    return Reason::proxy_addressless;
  if (is_inner(there.peer_addr.ip)) return Reason::ip_block_list;
  return plan().connection_policy.judge(ip_of(there.real_addr));
}

// Whoever comes from there comes through a tunnel of ours. Answers to a client that its own tunnel leads to would go
// into that tunnel, be answers to the client again, and so on for ever. With a device the same goes for what lies
// behind clients, since the kernel's routes lead there; not for a default route, by which somebody would be everywhere.
bool Gatekeeper::is_inner(const inet::IpAddress& ip) const {
  if (inet::any_contains(plan().config.network.subnets, ip)) return true;
  if (plan().config.forwarding.mode != config::ForwardingConfig::Mode::tun) return false;
  const router::RouteEntry& route = parts_.routes.lookup(ip);
  return route.kind == router::RouteKind::client && !inet::is_everywhere(route.prefix);
}

Reason Gatekeeper::may_shake_hands(const session::Connection& there, const PublicKey& key) {
  MutexLock lock(control_.mutex);
  const auto found = control_.clients->find_by_wireguard_key(key);
  return found.client ? judge(there, key, found) : Reason::unknown_client;
}

Reason Gatekeeper::may_roam(const session::Connection& connection) {
  if (Reason reason = may_send(connection); reason != Reason::none) return reason;
  auto it = entries_.find(connection.id);
  if (it == entries_.end() || !it->second.offered) return Reason::client_removed;
  const Admitted& admitted = it->second.admitted;
  MutexLock lock(control_.mutex);
  auto found = control_.clients->find(admitted.client_id);
  if (!found.client || found.number != admitted.client_number) return Reason::client_removed;
  return judge(connection, admitted.key, found);
}

bool Gatekeeper::knows_key(const PublicKey& key) {
  MutexLock lock(control_.mutex);
  return control_.clients->find_by_key(key).client != nullptr;
}

const SecretKey* Gatekeeper::shared_secret(const PublicKey& own, const PublicKey& theirs) {
  MutexLock lock(control_.mutex);
  const SecretKey* secret = control_.clients->shared_secret(own, theirs);
  if (!secret) return nullptr;
  secret_ = secret->clone();
  return &secret_;
}

bool Gatekeeper::may_start_handshake(const session::Connection& connection) {
  if (handshakes_left_ == 0) return false;
  --handshakes_left_;
  ++parts_.reporter.scope(connection.listener).handshakes_total;
  return true;
}

Reason Gatekeeper::judge(const session::Connection& connection, const PublicKey& key,
                         const ClientDirectory::Found& found) const {
  const auto transport = static_cast<uint8_t>(connection.transport);
  return judge_client(found, key, transport, ip_of(connection.real_addr), wall_clock_ms());
}

// The client has all the sessions it may, and would rather keep them.
bool Gatekeeper::refuses_new(const registry::Client& client) const {
  return client.session_policy == registry::SessionPolicy::refuse_new &&
         control_.sessions.count(client.id) >= client.max_sessions;
}

// A further session within the ceiling of all, or one that will replace another of the same client.
bool Gatekeeper::has_room(const registry::Client& client) const {
  const uint32_t ceiling = plan().config.limits.sessions;
  return ceiling == 0 || control_.sessions.size() < ceiling ||
         control_.sessions.count(client.id) >= std::max<size_t>(client.max_sessions, 1);
}

std::optional<session::IdentityVerdict> Gatekeeper::on_identity(const session::Connection& connection,
                                                                const session::Identity& identity) {
  session::IdentityVerdict verdict;
  Entry& entry = entries_[connection.id];
  const bool wireguard = connection.transport == session::Transport::wireguard;
  MutexLock lock(control_.mutex);
  auto found = wireguard ? control_.clients->find_by_wireguard_key(identity.static_key)
                         : control_.clients->find_by_key(identity.static_key);
  // A rekey may not change who somebody is. The number, because an id may be given to another key.
  if (!found.client || (identity.rekey && entry.admitted.client_number != found.number)) {
    verdict.reason = Reason::unknown_client;
    return verdict;
  }
  verdict.reason = judge(connection, identity.static_key, found);
  if (verdict.reason == Reason::none && !identity.rekey) verdict.reason = offer(entry, found, identity);
  if (verdict.reason == Reason::too_many_sessions) verdict.retry_after_s = 10;
  if (verdict.reason != Reason::none) return verdict;
  if (identity.rekey) ++parts_.reporter.scope(connection.listener).rekeys_total;
  if (control_.authorizer && !identity.rekey && !ask_host(connection, identity, entry, verdict)) return std::nullopt;
  if (verdict.reason == Reason::none) verdict.grant = grant(entry);
  return verdict;
}

session::Grant Gatekeeper::grant(const Entry& entry) const {
  const config::NetworkConfig& network = plan().config.network;
  session::Grant out;
  out.client_id = entry.admitted.client_id;
  out.addresses = entry.admitted.addresses;
  out.routes = network.routes;
  out.dns = network.dns;
  out.mtu = network.mtu;
  return out;
}

// The tentative lease.
Reason Gatekeeper::offer(Entry& entry, const ClientDirectory::Found& found, const session::Identity& identity) {
  if (!has_room(*found.client) || refuses_new(*found.client)) return Reason::too_many_sessions;
  if (parts_.memory.is_tight() && found.client->priority > kOrdinaryPriority) return Reason::too_many_sessions;
  registry::LeaseRequest request{found.client->id, found.client->addresses, identity.wanted_addresses,
                                 found.client->max_sessions};
  Admitted admitted;
  admitted.client_id = found.client->id;
  admitted.client_number = found.number;
  admitted.key = identity.static_key;
  admitted.fixed = found.client->addresses;
  if (entry.offered) control_.addresses.release(entry.admitted.lease);
  entry.offered = false;
  auto offer = control_.addresses.offer(request);
  if (offer.reason != Reason::none) return offer.reason;
  // From here on nothing allocates: the lease is known to its entry or does not exist.
  admitted.lease = offer.lease;
  admitted.addresses = std::move(offer.addresses);
  entry.admitted = std::move(admitted);
  entry.offered = true;
  return Reason::none;
}

NO_THREAD_SAFETY_ANALYSIS const Gatekeeper::Admitted* Gatekeeper::may_confirm(const session::Connection& connection,
                                                                              Reason* why) {
  Entry& entry = entries_[connection.id];
  *why = Reason::client_removed;
  if (!entry.offered) return nullptr;
  // The entry may have changed between message 2 and the first data, or be another's by now.
  auto found = control_.clients->find(entry.admitted.client_id);
  if (!found.client || found.number != entry.admitted.client_number) return nullptr;
  // The lists too: the host may have taken long, and changed them meanwhile.
  *why = plan().connection_policy.judge(ip_of(connection.real_addr));
  if (*why != Reason::none) return nullptr;
  *why = judge(connection, entry.admitted.key, found);
  if (*why != Reason::none) return nullptr;
  *why = Reason::disconnected;  // other addresses by now: it may come again for them
  if (found.client->addresses != entry.admitted.fixed) return nullptr;
  *why = Reason::too_many_sessions;
  if (!has_room(*found.client) || refuses_new(*found.client)) return nullptr;
  *why = Reason::replaced;  // a newer session of the same client was faster
  if (!control_.addresses.can_commit(entry.admitted.lease)) return nullptr;
  *why = Reason::none;
  return &entry.admitted;
}

NO_THREAD_SAFETY_ANALYSIS uint64_t Gatekeeper::confirm(const session::Connection& connection) noexcept {
  Entry& entry = entries_.find(connection.id)->second;
  entry.stage = Stage::session;
  ++confirmed_;
  count_connections();
  if (entry.in_handshake) control_.handshakes.leave();
  entry.in_handshake = false;
  return control_.addresses.commit(entry.admitted.lease).displaced;
}

void Gatekeeper::on_closed(const session::Connection& connection, Reason reason, const std::string& detail) noexcept {
  auto it = entries_.find(connection.id);
  if (it == entries_.end()) return;
  MutexLock lock(control_.mutex);
  if (control_.authorizer) control_.authorizer->forget(connection.id);
  control_.verdicts.forget(connection.id);
  leave_header_stage(connection, it->second);
  Entry entry = std::move(it->second);
  entries_.erase(it);
  if (entry.stage == Stage::session) --confirmed_;
  count_connections();
  --parts_.reporter.scope(connection.listener).connections_open;
  if (entry.counted) control_.limiter.closed(entry.counted, parts_.loop.now());
  if (entry.in_handshake) control_.handshakes.leave();
  bool was_session = entry.stage == Stage::session && session_end_(connection.id, reason, detail);
  if (entry.offered) control_.addresses.release(entry.admitted.lease);
  lock.unlock();
  if (was_session || reason == Reason::none) return;  // `none`: it did what it came for, a health check
  if (reason == Reason::proxy_local)
    parts_.reporter.scope(connection.listener).reject(reason);
  else
    parts_.reporter.rejected(connection, reason, reason == Reason::authorize_denied ? entry.denied_because : detail,
                             parts_.loop.now());
}

}  // namespace smartvpn::server
