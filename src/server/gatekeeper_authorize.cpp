// The host's word in phase 2: a connection that passed everything else waits here until the host, or the
// deadline, has decided. The shard itself goes on.
#include <new>

#include "server/gatekeeper.hpp"

namespace smartvpn::server {

Authorizer::Limits Gatekeeper::authorize_limits() const {
  const config::SecurityConfig& security = plan().config.security;
  return {milliseconds(security.authorize_timeout_ms), security.max_handshakes_in_progress};
}

bool Gatekeeper::ask_host(const session::Connection& connection, const session::Identity& identity, Entry& entry,
                          session::IdentityVerdict& verdict) {
  const Authorizer::Question question{connection, entry.admitted.client_id, entry.admitted.client_number,
                                      identity.static_key};
  control_.verdicts.expect(connection.id);
  auto outcome = control_.authorizer->ask(question, authorize_limits(), parts_.loop.now(), wall_clock_ms());
  next_deadline();
  if (!outcome) return false;
  control_.verdicts.forget(connection.id);
  verdict.reason = take(entry, *outcome);
  return true;
}

Reason Gatekeeper::take(Entry& entry, const Authorizer::Outcome& outcome) {
  entry.admitted.session_seconds = outcome.session_seconds;
  entry.admitted.granted_rate = outcome.rate_limit;
  entry.denied_because = outcome.detail;
  return outcome.reason;
}

// What has changed about the client meanwhile is confirm()'s to find out, as for everybody who takes long
// between message 2 and the first data.
void Gatekeeper::host_has_decided(uint64_t connection, const Authorizer::Outcome& outcome) noexcept {
  auto entry = entries_.find(connection);
  if (entry == entries_.end()) return;
  session::IdentityVerdict verdict;
  try {
    verdict.reason = take(entry->second, outcome);
    if (verdict.reason == Reason::none) verdict.grant = grant(entry->second);
  } catch (const std::bad_alloc&) {
    verdict.reason = Reason::out_of_memory;
  }
  verdict_later_(connection, verdict);
}

Result<void> Gatekeeper::authorize_answer(uint64_t token, const Authorizer::Answer& answer) {
  bool found = false;
  {
    MutexLock lock(control_.mutex);
    auto& authorizer = control_.authorizer;
    found = authorizer && authorizer->answer(token, answer, authorize_limits(), parts_.loop.now());
    if (found) next_deadline();
  }
  if (!found) return make_error(Status::NOT_FOUND, "no open request has this token");
  deliver_late();
  return {};
}

void Gatekeeper::stop_asking(Reason reason) noexcept {
  {
    MutexLock lock(control_.mutex);
    if (!control_.authorizer) return;
    control_.authorizer->close(reason);
  }
  deliver_late();
}

// Those for connections of this shard right away, the others by their own shards. A carrier may end its connection
// over it, and asks for the lock then.
void Gatekeeper::deliver_late() noexcept {
  std::unique_ptr<LateVerdict> verdict;
  {
    MutexLock lock(control_.mutex);
    control_.send_verdicts(parts_.shard);
    verdict = control_.verdicts.take(parts_.shard);
  }
  for (; verdict; verdict = std::move(verdict->next)) host_has_decided(verdict->connection, verdict->outcome);
}

void Gatekeeper::next_deadline() noexcept { authorize_timer_.start_at(control_.authorizer->next_deadline()); }

void Gatekeeper::tick() {
  {
    MutexLock lock(control_.mutex);
    if (parts_.shard == 0) control_.limiter.tick(parts_.loop.now());
    if (!control_.authorizer) return;
    control_.authorizer->tick(parts_.loop.now());
    next_deadline();
  }
  deliver_late();
}

}  // namespace smartvpn::server
