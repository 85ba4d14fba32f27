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

Result<telemetry::ClientStats> Shard::client_stats(const std::string& id) {
  if (!clients_->find(id).client) return make_error(Status::NOT_FOUND, "no client has this id");
  const ClientAccount* account = accounts_.find(id);
  telemetry::ClientStats out = of_account(id, account ? *account : ClientAccount{});
  for (uint64_t session : sessions_.of_client(id)) {
    const LiveSession* live = sessions_.find(session);
    if (live && live->account.get() == account) add_session(out, *live);
  }
  return out;
}

std::vector<telemetry::ClientStats> Shard::stats_by_client() {
  std::vector<telemetry::ClientStats> all;
  all.reserve(accounts_.size());
  std::unordered_map<const ClientAccount*, size_t> place;
  accounts_.for_each([&](const std::string& id, const ClientAccount& account) {
    place[&account] = all.size();
    all.push_back(of_account(id, account));
  });
  sessions_.for_each([&](LiveSession& session) {
    auto it = place.find(session.account.get());
    if (it != place.end()) add_session(all[it->second], session);
  });
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.client_id < b.client_id; });
  return all;
}

telemetry::StatsSnapshot Shard::stats() {
  telemetry::StatsSnapshot out;
  out.time_ms = wall_clock_ms();
  out.started_ms = started_ms_;
  out.clients = clients_->size();
  memory_.set_events(hub_.waiting());
  out.memory_bytes = memory_.taken();
  out.memory_limit_bytes = memory_.ceiling();
  out.events_lost = hub_.lost();
  std::vector<telemetry::ScopeStats> scopes = reporter_.scopes();
  sessions_.for_each([&](LiveSession& session) {
    auto& scope = scopes[session.peer.listener];
    scope.traffic.add(counters_of(session));
    ++scope.sessions_now;
    ++out.sessions_by_health[static_cast<size_t>(session.quality.health())];
  });
  telemetry::TransportStats by_transport[] = {{session::transport_name(session::Transport::websocket), {}},
                                              {session::transport_name(session::Transport::wireguard), {}}};
  for (const auto& endpoint : endpoints_) {
    out.listeners.push_back({endpoint.listener, session::transport_name(endpoint.transport), endpoint.address.text(),
                             scopes[endpoint.listener]});
    const bool wireguard = endpoint.transport == session::Transport::wireguard;
    by_transport[wireguard ? 1 : 0].stats.add(scopes[endpoint.listener]);
    out.total.add(scopes[endpoint.listener]);
  }
  out.total.handshakes_in_progress = gatekeeper_->handshakes_in_progress();
  out.total.traffic.add(reporter_.unowned());
  for (auto& transport : by_transport) {
    const bool there = std::any_of(endpoints_.begin(), endpoints_.end(), [&](const BoundEndpoint& endpoint) {
      return transport.transport == session::transport_name(endpoint.transport);
    });
    if (there) out.transports.push_back(std::move(transport));
  }
  out.wireguard = wireguard_stats();
  if (plan_.config.telemetry.client_label) out.by_client = stats_by_client();
  return out;
}

}  // namespace smartvpn::server
