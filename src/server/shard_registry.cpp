// What the registry's changes do on the shard: the copy, the routes, and every live session that they
// concern, before whoever made the change gets an answer.
#include <algorithm>

#include "config/server_url.hpp"
#include "crypto/x25519.hpp"
#include "server/shard.hpp"

namespace smartvpn::server {
namespace {

template <class T>
bool contains(const std::vector<T>& list, const T& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// A wildcard is nothing one can dial; the loopback address at least works on this machine.
inet::IpAddress dialled_ip(const inet::IpAddress& bound) {
  if (!bound.is_unspecified()) return bound;
  return *inet::IpAddress::parse(bound.is_v4() ? "127.0.0.1" : "::1");
}

std::string dialled(const inet::Endpoint& bound) { return inet::Endpoint{dialled_ip(bound.ip), bound.port}.text(); }

std::string url_of(const config::ListenConfig& config, const inet::Endpoint& bound) {
  if (!config.public_url.empty()) return config.public_url;
  config::ServerUrl url;
  url.tls = config.tls.has_value();
  url.host = dialled_ip(bound.ip).text();
  url.port = bound.port;
  url.path = config.path;
  return url.text();
}

bool same_subnets(const registry::Draft::Step& step) {
  const std::vector<inet::Cidr> none;
  return (step.before ? step.before->subnets : none) == (step.after ? step.after->subnets : none);
}

}  // namespace

Result<void> Shard::load_clients(std::vector<registry::Client> clients, uint64_t revision) {
  return clients_->load(std::move(clients), revision);
}

ServerFacts Shard::facts() const {
  ServerFacts out;
  for (const auto& endpoint : endpoints_) {
    const bool wireguard = endpoint.transport == session::Transport::wireguard;
    if (!wireguard && out.url.empty()) out.url = url_of(plan_.listeners[endpoint.listener].config, endpoint.address);
    if (wireguard && out.wireguard_endpoint.empty()) out.wireguard_endpoint = dialled(endpoint.address);
  }
  out.noise_public_key = keys_->current.pub;
  if (const auto& key = plan_.config.keys.wireguard_private_key) out.wireguard_public_key = crypto::public_key_of(*key);
  const config::NetworkConfig& network = plan_.config.network;
  if (!network.wireguard_endpoint.empty()) out.wireguard_endpoint = network.wireguard_endpoint;
  out.wireguard_keepalive_s = plan_.config.wireguard.persistent_keepalive_s;
  out.routes = network.routes;
  out.dns = network.dns;
  out.mtu = network.mtu;
  return out;
}

std::vector<std::string> Shard::clients_online() const { return sessions_.clients(); }

void Shard::commit(RegistryChange& change) {
  clients_->commit(change.draft, change.lists);
  prepare_secrets();
  if (!std::all_of(change.draft.steps.begin(), change.draft.steps.end(), same_subnets)) route_client_subnets();
  for (; change.told < change.draft.steps.size(); ++change.told) {
    const auto& step = change.draft.steps[change.told];
    const registry::Client& client = step.after ? *step.after : *step.before;
    if (change.names[change.told])
      reporter_.client_changed(client.id, change.names[change.told], change.draft.base + change.told + 1);
  }
  for (const auto& step : change.draft.steps) {
    enforce(step.after ? step.after->id : step.before->id);
    if (!step.after) accounts_.remove(step.before->id);
  }
  update_wireguard_peers(change.draft);
}

// Prefixes behind clients, as the kernel shall route them here. Not default routes: they are for what clients
// send, and would take the host's own way out.
std::vector<inet::Cidr> Shard::client_subnets() const {
  std::vector<inet::Cidr> out;
  for (const auto& client : clients_->registry().list())
    for (const auto& subnet : client->subnets)
      if (subnet.prefix != 0) out.push_back(subnet);
  return out;
}

void Shard::route_client_subnets() {
  if (!engine_) return;
  if (auto ok = engine_->set_routes(client_subnets()); !ok)
    reporter_.log(LogLevel::warning, "routes of clients' subnets could not be set: " + ok.error().text);
}

Reason Shard::judge(const LiveSession& session, const ClientDirectory::Found& found) const {
  if (!found.client || found.number != session.client_number) return Reason::client_removed;
  std::optional<inet::IpAddress> real;
  if (session.peer.real_addr) real = session.peer.real_addr->ip;
  const auto transport = static_cast<uint8_t>(session.peer.transport);
  Reason reason = judge_client(found, session.key, transport, real, wall_clock_ms());
  if (reason != Reason::none) return reason;
  // Other addresses: it may come again for them.
  const auto& fixed = found.client->addresses;
  auto lost = [&](const inet::IpAddress& ip) { return !contains(fixed, ip); };
  auto lacks = [&](const inet::IpAddress& ip) { return !contains(session.addresses, ip); };
  const bool moved =
      std::any_of(session.fixed.begin(), session.fixed.end(), lost) || std::any_of(fixed.begin(), fixed.end(), lacks);
  return moved ? Reason::disconnected : Reason::none;
}

void Shard::enforce(const std::string& client_id) {
  const ClientDirectory::Found found = clients_->find(client_id);
  std::vector<LiveSession*> stay;
  for (uint64_t id : sessions_.of_client(client_id)) {
    LiveSession* live = sessions_.find(id);
    if (!live || live->ending != Reason::none) continue;
    if (Reason reason = judge(*live, found); reason != Reason::none)
      end_session(id, reason);
    else
      stay.push_back(live);
  }
  std::sort(stay.begin(), stay.end(), [](const LiveSession* a, const LiveSession* b) { return a->since > b->since; });
  for (size_t i = 0; i < stay.size(); ++i) {
    if (i < found.client->max_sessions) {
      apply_settings(*stay[i], *found.client);
      data_path_.judge_waiting(*stay[i]);
    } else {
      end_session(stay[i]->id, Reason::replaced);
    }
  }
}

void Shard::apply_settings(LiveSession& session, const registry::Client& client) {
  take_settings(session, client);
  attach(session, session.subnets);
}

void Shard::take_settings(LiveSession& session, const registry::Client& client) {
  session.expires_at_ms = client.expires_at_ms;
  session.fixed = client.addresses;
  for (const auto& subnet : session.subnets)
    if (!contains(client.subnets, subnet)) router_.table().detach(subnet, session.id);
  session.subnets = client.subnets;  // before they are attached, so that taking the session out finds them
  apply_limits(session, client);
}

// Without memory the next session on that key is the one that is noted.
void Shard::note_key(const LiveSession& session) noexcept try {
  const registry::Client* client = clients_->find(session.client_id).client;
  if (!client || !client->rotation) return;
  const bool wireguard = session.peer.transport == session::Transport::wireguard;
  if (wireguard ? client->wireguard_public_key != session.key : client->noise_public_key != session.key) return;
  if (clients_->note_new_key(session.client_id))
    reporter_.client_changed(session.client_id, "rotation_seen", clients_->registry().revision());
} catch (const std::bad_alloc&) {
  return;
}

void Shard::expire() {
  const int64_t now = wall_clock_ms();
  std::vector<std::pair<uint64_t, Reason>> expired;
  sessions_.for_each([&](LiveSession& session) {
    if (session.expires_at_ms != 0 && now >= session.expires_at_ms)
      expired.emplace_back(session.id, Reason::client_expired);
    else if (loop_->now() >= session.authorized_until)
      expired.emplace_back(session.id, Reason::authorize_expired);
  });
  for (auto [id, reason] : expired) end_session(id, reason);
  for (const std::string& id : clients_->expire_rotations(now)) {
    reporter_.client_changed(id, "rotation_expired", clients_->registry().revision());
    enforce(id);
    drop_stale_wireguard_peers();
  }
}

}  // namespace smartvpn::server
