// The shard's sessions: their beginning, their packets, their end, and what the registry's changes and
// the host's questions do to them.
#include <algorithm>

#include "server/shard.hpp"

namespace smartvpn::server {

uint64_t Shard::on_confirmed(const session::Connection& connection, session::Link& link, Reason* why) {
  if (draining_) {
    *why = closing_ ? Reason::server_stopping : Reason::draining;
    return 0;
  }
  uint64_t displaced = 0;
  const Gatekeeper::Admitted* admitted = gatekeeper_->confirm(connection, &displaced, why);
  if (!admitted) return 0;
  auto session = std::make_unique<LiveSession>();
  session->connection = connection.id;
  session->lease = admitted->lease;
  session->peer = connection;
  session->client_id = admitted->client_id;
  session->client_number = admitted->client_number;
  session->key = admitted->key;
  session->addresses = admitted->addresses;
  session->link = &link;
  session->since_ms = wall_clock_ms();
  session->since = loop_->now();
  session->granted_rate = admitted->granted_rate;
  if (admitted->session_seconds != 0) session->authorized_until = session->since + seconds(admitted->session_seconds);
  LiveSession* live = adopt(std::move(session), *clients_->find(admitted->client_id).client);
  if (!live) {
    *why = Reason::too_many_sessions;
    return 0;
  }
  reporter_.session_up(*live);
  note_key(*live);
  // The older session goes after the newer one has its addresses: they are never without an owner.
  if (LiveSession* older = displaced ? sessions_.find_by_lease(displaced) : nullptr)
    end_session(older->id, Reason::replaced);
  return live->id;
}

// Into the tables, wholly or (throwing) not at all. Null when every slot is taken.
LiveSession* Shard::adopt(std::unique_ptr<LiveSession> session, const registry::Client& client) {
  const uint64_t connection = session->connection;
  uint64_t& id = session_of_connection_[connection];
  try {
    LiveSession* live = sessions_.add(std::move(session));
    if (!live) {
      session_of_connection_.erase(connection);
      return nullptr;
    }
    id = live->id;
    for (const auto& ip : live->addresses) router_.table().attach(inet::host_prefix(ip), live->id, live->client_number);
    apply_settings(*live, client);
    return live;
  } catch (...) {
    take_out(connection);
    throw;
  }
}

std::unique_ptr<LiveSession> Shard::take_out(uint64_t connection) noexcept {
  auto it = session_of_connection_.find(connection);
  if (it == session_of_connection_.end()) return nullptr;
  auto session = sessions_.remove(it->second);
  session_of_connection_.erase(it);
  if (!session) return nullptr;
  for (const auto& ip : session->addresses) router_.table().detach(inet::host_prefix(ip), session->id);
  for (const auto& subnet : session->subnets) router_.table().detach(subnet, session->id);
  return session;
}

bool Shard::on_session_end(uint64_t connection, Reason reason, const std::string& detail) noexcept {
  auto session = take_out(connection);
  if (!session) return false;
  auto figures = session->link->figures();
  session->counters.outer_bytes_in = figures.outer_bytes_in;
  session->counters.outer_bytes_out = figures.outer_bytes_out;
  reporter_.scope(session->peer.listener).traffic.add(session->counters);
  reporter_.session_down(*session, session->ending != Reason::none ? session->ending : reason, detail);
  return true;
}

void Shard::on_packets(uint64_t session, std::span<const PacketView> batch) {
  if (LiveSession* live = sessions_.find(session)) data_path_.from_session(*live, batch);
}

void Shard::on_drop(uint64_t session, Drop drop, uint64_t packets) {
  LiveSession* live = sessions_.find(session);
  (live ? live->counters : reporter_.unowned()).drop(drop, packets);
}

void Shard::on_rtt(uint64_t session, Duration rtt, Time now) {
  LiveSession* live = sessions_.find(session);
  if (!live) return;
  live->quality.on_rtt(rtt, now);
  if (live->quality.take_health_change()) reporter_.health_changed(*live);
}

void Shard::on_silence(uint64_t session, bool silent) {
  LiveSession* live = sessions_.find(session);
  if (!live) return;
  silent ? live->quality.on_ping_unanswered() : live->quality.on_heard();
  if (live->quality.take_health_change()) reporter_.health_changed(*live);
}

void Shard::on_log(int level, std::string text) { reporter_.log(static_cast<LogLevel>(level), std::move(text)); }

void Shard::end_session(uint64_t id, Reason reason) noexcept {
  LiveSession* live = sessions_.find(id);
  if (!live || live->ending != Reason::none) return;
  live->ending = reason;
  live->link->close(reason);
}

SessionInfo Shard::describe(const LiveSession& session) const {
  SessionInfo info;
  info.id = session.id;
  info.client_id = session.client_id;
  info.listener = session.peer.listener;
  info.transport = session.peer.transport;
  info.remote_addr = session.peer.real_addr;
  info.peer_addr = session.peer.peer_addr;
  info.addresses = session.addresses;
  info.since_ms = session.since_ms;
  auto figures = session.link->figures();
  auto ago = std::chrono::duration_cast<milliseconds>(loop_->now() - std::max(figures.last_heard, session.since));
  info.last_seen_ms = wall_clock_ms() - std::max<int64_t>(0, ago.count());
  info.counters = session.counters;
  info.counters.outer_bytes_in = figures.outer_bytes_in;
  info.counters.outer_bytes_out = figures.outer_bytes_out;
  info.quality = session.quality.quality();
  return info;
}

std::vector<SessionInfo> Shard::sessions() {
  std::vector<SessionInfo> all;
  sessions_.for_each([&](LiveSession& session) { all.push_back(describe(session)); });
  std::sort(all.begin(), all.end(), [](const SessionInfo& a, const SessionInfo& b) { return a.id < b.id; });
  return all;
}

Result<SessionInfo> Shard::session(uint64_t id) {
  LiveSession* live = sessions_.find(id);
  if (!live) return make_error(Status::NOT_FOUND, "no live session has this id");
  return describe(*live);
}

Result<void> Shard::disconnect(uint64_t session_id, Reason reason) {
  if (!sessions_.find(session_id)) return make_error(Status::NOT_FOUND, "no live session has this id");
  end_session(session_id, reason);
  return {};
}

telemetry::StatsSnapshot Shard::stats() {
  telemetry::StatsSnapshot out;
  out.time_ms = wall_clock_ms();
  out.started_ms = started_ms_;
  out.clients = clients_->size();
  out.memory_bytes = packets_.bytes_in_use();
  out.events_lost = hub_.lost() + reporter_.events_unsaid();
  std::vector<telemetry::ScopeStats> scopes = reporter_.scopes();
  sessions_.for_each([&](LiveSession& session) {
    auto& scope = scopes[session.peer.listener];
    scope.traffic.add(describe(session).counters);
    ++scope.sessions_now;
  });
  telemetry::TransportStats websocket{session::transport_name(session::Transport::websocket), {}};
  for (const auto& endpoint : endpoints_) {
    out.listeners.push_back({endpoint.listener, session::transport_name(endpoint.transport), endpoint.address.text(),
                             scopes[endpoint.listener]});
    websocket.stats.add(scopes[endpoint.listener]);
  }
  out.total = websocket.stats;
  out.total.handshakes_in_progress = gatekeeper_->handshakes_in_progress();
  out.total.traffic.add(reporter_.unowned());
  out.transports.push_back(std::move(websocket));
  return out;
}

Shard::TlsContexts Shard::tls_contexts() const {
  TlsContexts out;
  for (const auto& listener : plan_.listeners) out.push_back(listener.tls);
  return out;
}

void Shard::set_tls_contexts(TlsContexts fresh) {
  for (size_t i = 0; i < fresh.size(); ++i) {
    plan_.listeners[i].tls = fresh[i];
    listeners_[i]->set_tls(std::move(fresh[i]));
  }
}

}  // namespace smartvpn::server
