// The shard's sessions: their beginning, their packets, their end, and what the registry's changes and
// the host's questions do to them.
#include <algorithm>
#include <new>

#include "server/shard.hpp"

namespace smartvpn::server {

uint64_t Shard::on_confirmed(const session::Connection& connection, session::Link& link, Reason* why) {
  if (draining_) {
    *why = closing_ ? Reason::server_stopping : Reason::draining;
    return 0;
  }
  LiveSession* live = nullptr;
  uint64_t displaced = 0;
  {
    MutexLock lock(control_.mutex);
    live = begin_session(connection, link, why, &displaced);
  }
  if (!live) return 0;
  reporter_.session_up(*live);
  if (displaced != 0) end_session(displaced, Reason::replaced);
  const uint64_t id = live->id;
  note_key(*live);
  if (reconfigured_) tell_network(link);  // last: without memory it ends the session
  return id;
}

LiveSession* Shard::begin_session(const session::Connection& connection, session::Link& link, Reason* why,
                                  uint64_t* displaced) {
  const Gatekeeper::Admitted* admitted = gatekeeper_->may_confirm(connection, why);
  if (!admitted) return nullptr;
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
  session->account = control_.accounts.open(session->client_id);
  LiveSession* live = adopt(std::move(session), *control_.clients->find(admitted->client_id).client);
  if (!live) {
    *why = Reason::too_many_sessions;
    return nullptr;
  }
  // Nothing from here on can fail: the addresses move, and only then the older session goes.
  *displaced = displace(gatekeeper_->confirm(connection));
  ++live->account->sessions_total;
  return live;
}

void Shard::tell_network(session::Link& link) noexcept {
  try {
    link.update({plan_->config.network.routes, plan_->config.network.dns});
  } catch (const std::bad_alloc&) {
    link.close(Reason::out_of_memory);  // it may come again and be told then
  }
}

// Into the tables, wholly or (throwing) not at all. Null when every slot is taken.
LiveSession* Shard::adopt(std::unique_ptr<LiveSession> session, const registry::Client& client) {
  const uint64_t connection = session->connection;
  session::Link& link = *session->link;
  uint64_t& id = session_of_connection_[connection];
  try {
    LiveSession* live = sessions_.add(std::move(session));
    if (!live) {
      session_of_connection_.erase(connection);
      return nullptr;
    }
    id = live->id;
    memory_.set_sessions(sessions_.size());
    control_.sessions.add(live->client_id, live->id, live->lease, live->since);
    take_settings(*live, client);
    std::vector<inet::Cidr> routes = live->subnets;
    for (const auto& ip : live->addresses) routes.push_back(inet::host_prefix(ip));
    attach(*live, routes);
    return live;
  } catch (...) {
    link.set_gate(nullptr);
    take_out(connection);
    throw;
  }
}

// What an older session has is taken over last, which needs no memory; so it is never left without. Other shards
// hear of all of it at once.
void Shard::attach(const LiveSession& session, const std::vector<inet::Cidr>& routes) {
  if (routes.empty()) return;
  auto change = std::make_unique<RouteChange>(RouteChange::Kind::attach, session.id, session.client_number);
  change->prefixes = routes;
  catch_up();
  for (const auto& prefix : routes)
    if (!router_.table().has(prefix)) router_.table().attach(prefix, session.id, session.client_number);
  control_.routes.append(std::move(change));
  catch_up();
  control_.wake_others(index());
}

std::unique_ptr<LiveSession> Shard::take_out(uint64_t connection) noexcept {
  auto it = session_of_connection_.find(connection);
  if (it == session_of_connection_.end()) return nullptr;
  auto session = sessions_.remove(it->second);
  session_of_connection_.erase(it);
  memory_.set_sessions(sessions_.size());
  if (!session) return nullptr;
  control_.sessions.remove(session->id);
  if (session->farewell) {
    control_.routes.append(std::move(session->farewell));
    try {
      catch_up();
    } catch (const std::bad_alloc&) {
      // With the next packets, then. Until it has, the routes lead to a session that is gone.
    }
    control_.wake_others(index());
  }
  return session;
}

// The gatekeeper calls it, and has the lock.
NO_THREAD_SAFETY_ANALYSIS bool Shard::on_session_end(uint64_t connection, Reason reason,
                                                     const std::string& detail) noexcept {
  auto session = take_out(connection);
  if (!session) return false;
  session->link->set_gate(nullptr);
  if (session->limits) session->counters.drop(Drop::session_not_ready, session->limits->held.clear());
  session->counters = counters_of(*session);
  session->account->ended.add(session->counters);
  session->account->last_seen_ms = last_seen_ms(*session);
  reporter_.scope(session->peer.listener).traffic.add(session->counters);
  if (session->ending != Reason::none) reason = session->ending;
  reporter_.session_down(std::move(session), reason, detail, loop_->now());
  return true;
}

void Shard::apply_limits(LiveSession& session, const registry::Client& client) {
  session.destinations = control_.clients->find(client.id).destinations;
  const registry::RateLimit& rate = client.security.rate_limit;
  const registry::RateLimit none;
  const bool limited = !(rate == none) || (session.granted_rate && !(*session.granted_rate == none));
  if (!limited && !session.limits) return;
  if (!session.limits) {
    session.limits = std::make_unique<SessionLimits>(*loop_, session.account, system_rng().u32(),
                                                     [this, &session] { data_path_.release(session); });
  }
  session.limits->set(rate, session.granted_rate, loop_->now());
  session.link->set_gate(session.limits->to_client.limited() ? &session.limits->to_client : nullptr);
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
  silent ? live->quality.mark_dead() : live->quality.on_heard();
  if (live->quality.take_health_change()) reporter_.health_changed(*live);
}

void Shard::on_log(int level, std::string text) { reporter_.log(static_cast<LogLevel>(level), text); }

void Shard::end_session(uint64_t id, Reason reason) noexcept {
  LiveSession* live = sessions_.find(id);
  if (!live || live->ending != Reason::none) return;
  live->ending = reason;
  {
    MutexLock lock(control_.mutex);
    control_.sessions.set_ending(id);
  }
  live->link->close(reason);
}

telemetry::SessionCounters Shard::counters_of(const LiveSession& session) const noexcept {
  const session::LinkFigures figures = session.link->figures();
  telemetry::SessionCounters counters = session.counters;
  counters.outer_bytes_in = figures.outer_bytes_in;
  counters.outer_bytes_out = figures.outer_bytes_out;
  counters.outer_messages_in = figures.outer_messages_in;
  counters.outer_messages_out = figures.outer_messages_out;
  return counters;
}

int64_t Shard::last_seen_ms(const LiveSession& session) const noexcept {
  const Time heard = std::max(session.link->figures().last_heard, session.since);
  const auto ago = std::chrono::duration_cast<milliseconds>(loop_->now() - heard);
  return wall_clock_ms() - std::max<int64_t>(0, ago.count());
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
  info.last_seen_ms = last_seen_ms(session);
  info.counters = counters_of(session);
  info.quality = session.quality.quality();
  return info;
}

void Shard::add_sessions(std::vector<SessionInfo>& all) {
  sessions_.for_each([&](LiveSession& session) { all.push_back(describe(session)); });
}

Result<SessionInfo> Shard::session(uint64_t id) {
  LiveSession* live = sessions_.find(id);
  if (!live) return make_error(Status::NOT_FOUND, "no live session has this id");
  return describe(*live);
}

void Shard::adopt(AdoptedConnection connection) {
  for (const auto& listener : listeners_)
    if (listener) return listener->adopt(std::move(connection.socket), std::move(connection.client));
}

Result<void> Shard::disconnect(uint64_t session_id, Reason reason) {
  if (!sessions_.find(session_id)) return make_error(Status::NOT_FOUND, "no live session has this id");
  end_session(session_id, reason);
  return {};
}

Shard::TlsContexts Shard::tls_contexts() const { return tls_; }

void Shard::set_tls_contexts(TlsContexts fresh) {
  tls_ = std::move(fresh);
  for (size_t i = 0; i < listeners_.size(); ++i)
    if (listeners_[i]) listeners_[i]->set_tls(tls_[i]);
}

}  // namespace smartvpn::server
