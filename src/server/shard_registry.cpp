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
  MutexLock lock(control_.mutex);
  auto loaded = control_.clients->load(std::move(clients), revision);
  catch_up();
  return loaded;
}

ServerFacts Shard::facts() const {
  ServerFacts out;
  for (const auto& endpoint : endpoints_) {
    const bool wireguard = endpoint.transport == session::Transport::wireguard;
    if (!wireguard && out.url.empty()) out.url = url_of(plan_->listeners[endpoint.listener].config, endpoint.address);
    if (wireguard && out.wireguard_endpoint.empty()) out.wireguard_endpoint = dialled(endpoint.address);
  }
  out.noise_public_key = keys_->current.pub;
  if (const auto& key = plan_->config.keys.wireguard_private_key)
    out.wireguard_public_key = crypto::public_key_of(*key);
  const config::NetworkConfig& network = plan_->config.network;
  if (!network.wireguard_endpoint.empty()) out.wireguard_endpoint = network.wireguard_endpoint;
  out.wireguard_keepalive_s = plan_->config.wireguard.persistent_keepalive_s;
  out.routes = network.routes;
  out.dns = network.dns;
  out.mtu = network.mtu;
  return out;
}

std::vector<std::string> Shard::clients_online() const {
  MutexLock lock(control_.mutex);
  return control_.sessions.clients();
}

Result<void> Shard::prepare(RegistryChange& change) {
  MutexLock lock(control_.mutex);
  return control_.clients->prepare(change.draft);
}

void Shard::roll_back(RegistryChange& change) {
  MutexLock lock(control_.mutex);
  control_.clients->roll_back(change.draft);
}

void Shard::commit(RegistryChange& change) {
  {
    MutexLock lock(control_.mutex);
    control_.clients->commit(change.draft, change.lists);
    catch_up();
  }
  control_.wake_others(index());
  prepare_secrets();
  if (!std::all_of(change.draft.steps.begin(), change.draft.steps.end(), same_subnets)) route_client_subnets();
  for (; change.told < change.draft.steps.size(); ++change.told) {
    const auto& step = change.draft.steps[change.told];
    const registry::Client& client = step.after ? *step.after : *step.before;
    if (change.names[change.told])
      reporter_.client_changed(client.id, change.names[change.told], change.draft.base + change.told + 1);
  }
  MutexLock lock(control_.mutex);
  for (const auto& step : change.draft.steps)
    if (!step.after) control_.accounts.remove(step.before->id);
}

void Shard::judge_sessions(const RegistryChange& change) {
  for (const auto& step : change.draft.steps) judge_sessions_of(step.after ? step.after->id : step.before->id);
}

// What the others had sent here by the old rules comes first.
void Shard::settle_sessions(const RegistryChange& change) {
  while (data_path_.from_other_shards(DataPath::kBatch)) continue;
  for (const auto& step : change.draft.steps) settle_sessions_of(step.after ? step.after->id : step.before->id);
  update_wireguard_peers(change.draft);
}

// Prefixes behind clients, as the kernel shall route them here. Not default routes: they are for what clients
// send, and would take the host's own way out.
std::vector<inet::Cidr> Shard::client_subnets() const {
  std::vector<inet::Cidr> out;
  for (const auto& client : with_clients([](const auto& clients) { return clients.registry().list(); }))
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

void Shard::judge_sessions_of(const std::string& client_id) {
  std::vector<std::pair<uint64_t, Reason>> over;
  {
    MutexLock lock(control_.mutex);
    const ClientDirectory::Found found = control_.clients->find(client_id);
    for (const SessionIndex::Seat* seat : control_.sessions.of_client(client_id)) {
      const LiveSession* live = sessions_.find(seat->session);
      if (!live || live->ending != Reason::none) continue;
      if (Reason reason = judge(*live, found); reason != Reason::none) over.emplace_back(live->id, reason);
    }
  }
  for (auto [id, reason] : over) end_session(id, reason);
}

// The newest stay, wherever they are.
void Shard::settle_sessions_of(const std::string& client_id) {
  std::vector<LiveSession*> stay;
  std::vector<uint64_t> go;
  {
    MutexLock lock(control_.mutex);
    const registry::Client* client = control_.clients->find(client_id).client;
    if (!client) return;
    auto seats = control_.sessions.of_client(client_id);
    std::erase_if(seats, [](const SessionIndex::Seat* seat) { return seat->ending; });
    std::sort(seats.begin(), seats.end(), [](const auto* a, const auto* b) {
      return a->since != b->since ? a->since > b->since : a->session > b->session;
    });
    for (size_t i = 0; i < seats.size(); ++i) {
      LiveSession* live = sessions_.find(seats[i]->session);
      if (!live) continue;
      if (i < client->max_sessions) {
        apply_settings(*live, *client);
        stay.push_back(live);
      } else {
        go.push_back(live->id);
      }
    }
  }
  for (LiveSession* live : stay) data_path_.judge_waiting(*live);
  for (uint64_t id : go) end_session(id, Reason::replaced);
}

void Shard::apply_settings(LiveSession& session, const registry::Client& client) {
  take_settings(session, client);
  attach(session, session.subnets);
}

void Shard::take_settings(LiveSession& session, const registry::Client& client) {
  // What can fail first. The farewell is for all it may have from now on, before it has it.
  auto farewell = std::make_unique<RouteChange>(RouteChange::Kind::detach, session.id, 0);
  auto lost = std::make_unique<RouteChange>(RouteChange::Kind::detach, session.id, 0);
  for (const auto& ip : session.addresses) farewell->prefixes.push_back(inet::host_prefix(ip));
  for (const auto& subnet : client.subnets) farewell->prefixes.push_back(subnet);
  for (const auto& subnet : session.subnets)
    if (!contains(client.subnets, subnet)) lost->prefixes.push_back(subnet);
  session.fixed = client.addresses;
  session.subnets = client.subnets;
  session.expires_at_ms = client.expires_at_ms;
  session.rotation_until_ms = client.rotation ? client.rotation->until_ms : 0;
  session.farewell = std::move(farewell);
  if (!lost->prefixes.empty()) {
    control_.routes.append(std::move(lost));
    catch_up();
    control_.wake_others(index());
  }
  apply_limits(session, client);
}

// Without memory the next session on that key is the one that is noted.
void Shard::note_key(const LiveSession& session) noexcept try {
  MutexLock lock(control_.mutex);
  const registry::Client* client = control_.clients->find(session.client_id).client;
  if (!client || !client->rotation) return;
  const bool wireguard = session.peer.transport == session::Transport::wireguard;
  if (wireguard ? client->wireguard_public_key != session.key : client->noise_public_key != session.key) return;
  if (control_.clients->note_new_key(session.client_id))
    reporter_.client_changed(session.client_id, "rotation_seen", control_.clients->registry().revision());
} catch (const std::bad_alloc&) {
  return;
}

void Shard::expire() {
  const int64_t now = wall_clock_ms();
  std::vector<std::pair<uint64_t, Reason>> expired;
  std::vector<std::string> rotated;
  sessions_.for_each([&](LiveSession& session) {
    if (session.expires_at_ms != 0 && now >= session.expires_at_ms)
      expired.emplace_back(session.id, Reason::client_expired);
    else if (loop_->now() >= session.authorized_until)
      expired.emplace_back(session.id, Reason::authorize_expired);
    else if (session.rotation_until_ms != 0 && now >= session.rotation_until_ms)
      rotated.push_back(session.client_id);
  });
  for (auto [id, reason] : expired) end_session(id, reason);
  if (is_first()) expire_rotations(now);
  for (const std::string& id : rotated) {
    judge_sessions_of(id);
    settle_sessions_of(id);
  }
  if (const uint64_t over = control_.rotations_over.load(std::memory_order_relaxed); over != rotations_over_) {
    rotations_over_ = over;
    drop_stale_wireguard_peers();
  }
}

// Of the registry's copy. Live sessions on an old key end by their shards' own clocks.
void Shard::expire_rotations(int64_t now) {
  std::vector<std::string> over;
  uint64_t revision = 0;
  {
    MutexLock lock(control_.mutex);
    over = control_.clients->expire_rotations(now);
    revision = control_.clients->registry().revision();
  }
  if (!over.empty()) control_.rotations_over.fetch_add(1, std::memory_order_relaxed);
  for (const std::string& id : over) reporter_.client_changed(id, "rotation_expired", revision);
}

}  // namespace smartvpn::server
