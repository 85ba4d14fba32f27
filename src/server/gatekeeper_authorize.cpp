// The host's word in phase 2: a connection that passed everything else waits here until the host, or the
// deadline, has decided. The shard itself goes on.
#include <new>

#include "server/gatekeeper.hpp"

namespace smartvpn::server {

Authorizer::Limits Gatekeeper::authorize_limits() const {
  const config::SecurityConfig& security = parts_.plan.config.security;
  return {milliseconds(security.authorize_timeout_ms), security.max_handshakes_in_progress};
}

bool Gatekeeper::ask_host(const session::Connection& connection, const session::Identity& identity, Entry& entry,
                          session::IdentityVerdict& verdict) {
  const Authorizer::Question question{connection, entry.admitted.client_id, entry.admitted.client_number,
                                      identity.static_key};
  auto outcome = authorizer_->ask(question, authorize_limits(), parts_.loop.now(), wall_clock_ms());
  authorize_timer_.start_at(authorizer_->next_deadline());
  if (!outcome) return false;
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
  if (!authorizer_ || !authorizer_->answer(token, answer, authorize_limits(), parts_.loop.now()))
    return make_error(Status::NOT_FOUND, "no open request has this token");
  authorize_timer_.start_at(authorizer_->next_deadline());
  return {};
}

void Gatekeeper::stop_asking(Reason reason) noexcept {
  if (authorizer_) authorizer_->close(reason);
}

void Gatekeeper::tick() {
  limiter_.tick(parts_.loop.now());
  if (!authorizer_) return;
  authorizer_->tick(parts_.loop.now());
  authorize_timer_.start_at(authorizer_->next_deadline());
}

}  // namespace smartvpn::server
