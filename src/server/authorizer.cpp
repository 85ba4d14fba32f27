#include "server/authorizer.hpp"

#include <algorithm>
#include <new>

namespace smartvpn::server {

std::optional<Authorizer::Outcome> Authorizer::ask(const Question& question, const Limits& limits, Time now,
                                                   int64_t wall_ms) {
  if (closed_ != Reason::none) return Outcome{closed_, 0, {}, {}};
  const session::Connection& connection = question.connection;
  Who who{question.client_number, question.key, {}, connection.transport};
  if (connection.real_addr) {
    who.from = connection.real_addr->ip;
    if (auto known = allowed_.find(who); known != allowed_.end() && now < known->second.until)
      return known->second.outcome;
    if (auto asked = token_of_.find(who); asked != token_of_.end()) {
      join(asked->second, connection.id);
      return std::nullopt;
    }
  }
  if (open_.size() >= limits.max_open) return Outcome{Reason::too_many_handshakes, 0, {}, {}};
  open_request(question, who, limits, now, wall_ms);
  return std::nullopt;
}

void Authorizer::join(uint64_t token, uint64_t connection) {
  auto [waits, fresh] = token_waited_for_.emplace(connection, token);
  try {
    open_.find(token)->connections.push_back(connection);
  } catch (const std::bad_alloc&) {
    token_waited_for_.erase(waits);
    throw;
  }
}

void Authorizer::open_request(const Question& question, const Who& who, const Limits& limits, Time now,
                              int64_t wall_ms) {
  auto made = std::make_unique<Request>();
  made->who = who;
  made->deadline = deadlines_.end();
  Request& request = *made;
  const uint64_t token = open_.insert(std::move(made));
  if (token == 0) throw std::bad_alloc();
  try {
    request.deadline = deadlines_.emplace(now + limits.timeout, token);
    if (who.from) token_of_.emplace(who, token);
    join(token, question.connection.id);
    auto said = std::make_shared<AuthorizeRequest>();
    said->token = token;
    said->client_id = question.client_id;
    said->connection = question.connection;
    said->deadline_ms = wall_ms + std::chrono::duration_cast<milliseconds>(limits.timeout).count();
    request.place = queue_->push(std::move(said));
  } catch (const std::bad_alloc&) {
    take_out(token);
    throw;
  }
}

// Out of every table, also half made. Nobody is told.
std::unique_ptr<Authorizer::Request> Authorizer::take_out(uint64_t token) noexcept {
  auto request = open_.remove(token);
  if (!request) return nullptr;
  if (request->place != 0) queue_->withdraw(request->place);
  if (request->deadline != deadlines_.end()) deadlines_.erase(request->deadline);
  if (auto asked = token_of_.find(request->who); asked != token_of_.end() && asked->second == token)
    token_of_.erase(asked);
  for (uint64_t connection : request->connections) token_waited_for_.erase(connection);
  return request;
}

void Authorizer::resolve(uint64_t token, const Outcome& outcome) noexcept {
  auto request = take_out(token);
  if (!request) return;
  for (uint64_t connection : request->connections) deliver_(connection, outcome);
}

bool Authorizer::answer(uint64_t token, const Answer& answer, const Limits& limits, Time now) noexcept {
  Request* request = open_.find(token);
  if (!request) return false;
  try {
    Outcome outcome{answer.allow ? Reason::none : Reason::authorize_denied, answer.session_seconds, answer.rate_limit,
                    answer.detail};
    if (answer.allow && answer.valid > Duration::zero() && request->who.from)
      remember(request->who, outcome, now + answer.valid, limits.max_open, now);
    resolve(token, outcome);
  } catch (const std::bad_alloc&) {
    resolve(token, Outcome{Reason::out_of_memory, 0, {}, {}});
  }
  return true;
}

// A full table forgets first what no longer holds, then what would have been forgotten soonest.
void Authorizer::remember(const Who& who, const Outcome& outcome, Time until, size_t max, Time now) {
  forget_allowed_before(now);
  if (auto old = allowed_.find(who); old != allowed_.end()) {
    allowed_until_.erase({old->second.until, who});
    allowed_.erase(old);
  }
  while (!allowed_until_.empty() && allowed_.size() >= std::max<size_t>(max, 1)) {
    allowed_.erase(allowed_until_.begin()->second);
    allowed_until_.erase(allowed_until_.begin());
  }
  auto place = allowed_until_.emplace(until, who).first;
  try {
    allowed_.emplace(who, Allowed{outcome, until});
  } catch (const std::bad_alloc&) {
    allowed_until_.erase(place);
    throw;
  }
}

void Authorizer::forget_allowed_before(Time now) noexcept {
  while (!allowed_until_.empty() && allowed_until_.begin()->first <= now) {
    allowed_.erase(allowed_until_.begin()->second);
    allowed_until_.erase(allowed_until_.begin());
  }
}

void Authorizer::forget(uint64_t connection) noexcept {
  auto waits = token_waited_for_.find(connection);
  if (waits == token_waited_for_.end()) return;
  const uint64_t token = waits->second;
  token_waited_for_.erase(waits);
  auto& waiting = open_.find(token)->connections;
  waiting.erase(std::remove(waiting.begin(), waiting.end(), connection), waiting.end());
  if (waiting.empty()) take_out(token);
}

void Authorizer::tick(Time now) noexcept {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now)
    resolve(deadlines_.begin()->second, Outcome{Reason::authorize_timeout, 0, {}, {}});
  forget_allowed_before(now);
}

void Authorizer::close(Reason reason) noexcept {
  closed_ = reason;
  while (!deadlines_.empty()) resolve(deadlines_.begin()->second, Outcome{reason, 0, {}, {}});
}

}  // namespace smartvpn::server
