// The shard's numbers: a snapshot of everything, and what is told of one client.
#include <algorithm>

#include "server/shard.hpp"

namespace smartvpn::server {
namespace {

telemetry::ClientStats of_account(const std::string& id, const ClientAccount& account) {
  telemetry::ClientStats out;
  out.client_id = id;
  out.sessions_total = account.sessions_total;
  out.last_seen_ms = account.last_seen_ms;
  out.traffic = account.ended;
  return out;
}

}  // namespace

// A live session joins what is told of its client; the worst path is the one that is shown.
void Shard::add_session(telemetry::ClientStats& client, const LiveSession& session) const {
  client.traffic.add(counters_of(session));
  ++client.sessions_now;
  client.last_seen_ms = std::max(client.last_seen_ms, last_seen_ms(session));
  const telemetry::LinkQuality quality = session.quality.quality();
  if (!client.quality || quality.rtt_us >= client.quality->rtt_us) client.quality = quality;
}

Result<void> Shard::add_client_stats(const std::string& id, telemetry::ClientStats& out) {
  MutexLock lock(control_.mutex);
  const ClientAccount* account = control_.accounts.find(id);
  if (is_first()) {
    if (!control_.clients->find(id).client) return make_error(Status::NOT_FOUND, "no client has this id");
    const ClientAccount never_seen;
    out = of_account(id, account ? *account : never_seen);
  }
  for (const SessionIndex::Seat* seat : control_.sessions.of_client(id)) {
    const LiveSession* live = sessions_.find(seat->session);
    if (live && live->account.get() == account) add_session(out, *live);
  }
  return {};
}

void Shard::add_stats_by_client(std::vector<telemetry::ClientStats>& all) {
  MutexLock lock(control_.mutex);
  std::unordered_map<const ClientAccount*, size_t> place;
  if (is_first()) {
    all.reserve(control_.accounts.size());
    control_.accounts.for_each(
        [&](const std::string& id, const ClientAccount& account) { all.push_back(of_account(id, account)); });
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.client_id < b.client_id; });
  }
  for (size_t i = 0; i < all.size(); ++i)
    if (const ClientAccount* account = control_.accounts.find(all[i].client_id)) place[account] = i;
  sessions_.for_each([&](LiveSession& session) {
    auto it = place.find(session.account.get());
    if (it != place.end()) add_session(all[it->second], session);
  });
}

// What is one for all shards.
void Shard::begin_stats(telemetry::StatsSnapshot& out) {
  out.time_ms = wall_clock_ms();
  out.started_ms = started_ms_;
  out.memory_limit_bytes = memory_.ceiling();
  out.events_lost = hub_.lost();
  out.aead = crypto::AeadEngine::backend_name(aead_.backend());
  memory_.set_events(hub_.waiting());
  for (const auto& endpoint : endpoints_)
    out.listeners.push_back(
        {endpoint.listener, session::transport_name(endpoint.transport), endpoint.address.text(), {}});
  for (auto transport : {session::Transport::websocket, session::Transport::wireguard}) {
    const bool there = std::any_of(endpoints_.begin(), endpoints_.end(),
                                   [&](const BoundEndpoint& endpoint) { return endpoint.transport == transport; });
    if (there) out.transports.push_back({session::transport_name(transport), {}});
  }
  MutexLock lock(control_.mutex);
  out.clients = control_.clients->size();
  out.total.handshakes_in_progress = control_.handshakes.count();
}

void Shard::add_stats(telemetry::StatsSnapshot& out) {
  if (is_first()) begin_stats(out);
  out.memory_bytes += memory_.taken();
  std::vector<telemetry::ScopeStats> scopes = reporter_.scopes();
  sessions_.for_each([&](LiveSession& session) {
    auto& scope = scopes[session.peer.listener];
    scope.traffic.add(counters_of(session));
    ++scope.sessions_now;
    ++out.sessions_by_health[static_cast<size_t>(session.quality.health())];
  });
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    const telemetry::ScopeStats& scope = scopes[endpoints_[i].listener];
    out.listeners[i].stats.add(scope);
    for (auto& transport : out.transports)
      if (transport.transport == session::transport_name(endpoints_[i].transport)) transport.stats.add(scope);
    out.total.add(scope);
  }
  out.total.traffic.add(reporter_.unowned());
  if (const auto wireguard = wireguard_stats()) {
    if (!out.wireguard) out.wireguard.emplace();
    out.wireguard->add(*wireguard);
  }
  if (plan_->config.telemetry.client_label) add_stats_by_client(out.by_client);
}

}  // namespace smartvpn::server
