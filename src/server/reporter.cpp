#include "server/reporter.hpp"

#include <algorithm>
#include <new>
#include <thread>

namespace smartvpn::server {
namespace {

using telemetry::Event;
using telemetry::EventType;

std::vector<std::string> texts(const std::vector<inet::IpAddress>& addresses) {
  std::vector<std::string> out;
  out.reserve(addresses.size());
  for (const auto& ip : addresses) out.push_back(ip.text());
  return out;
}

void describe(Event& event, const session::Connection& connection) {
  event.set("listener", uint64_t{connection.listener}).set("transport", session::transport_name(connection.transport));
  if (connection.real_addr) event.set("remote_addr", connection.real_addr->text());
  event.set("peer_addr", connection.peer_addr.text());
}

void describe_tlvs(Event& event, const session::Connection& connection) {
  if (connection.tlvs.empty()) return;
  std::vector<std::pair<std::string, std::string>> items;
  for (const auto& tlv : connection.tlvs) items.emplace_back(tlv.name, tlv.value);
  event.set_object("tlvs", items);
}

void describe_session(Event& event, const LiveSession& session) {
  describe(event, session.peer);
  event.set("client_id", session.client_id).set("session_id", session.id);
}

}  // namespace

template <class Fill>
bool Reporter::tell(EventType type, Fill&& fill) noexcept {
  if (!hub_.wanted(type)) return true;
  const int64_t now = wall_clock_ms();
  try {
    Event event(type, now);
    fill(event);
    hub_.publish(std::move(event));
    return true;
  } catch (const std::bad_alloc&) {
    hub_.note_lost(type, now);
    return false;
  }
}

void Reporter::listening(uint32_t listener, session::Transport transport, const inet::Endpoint& address) noexcept {
  tell(EventType::listening, [&](Event& event) {
    event.set("listener", uint64_t{listener})
        .set("transport", session::transport_name(transport))
        .set("address", address.text());
  });
}

void Reporter::accepted(const session::Connection& connection) noexcept {
  tell(EventType::connection_accepted, [&](Event& event) {
    describe(event, connection);
    describe_tlvs(event, connection);
  });
}

void Reporter::rejected(const session::Connection& connection, Reason reason, const std::string& detail,
                        Time now) noexcept {
  scope(connection.listener).reject(reason);
  if (!hub_.wanted(EventType::connection_rejected) || !is_first(connection, reason, now)) return;
  tell(EventType::connection_rejected, [&](Event& event) {
    describe(event, connection);
    event.set("reason", reason_name(reason)).set_if("detail", detail);
    describe_tlvs(event, connection);
  });
}

// False for what the throttle will report by count.
bool Reporter::is_first(const session::Connection& connection, Reason reason, Time now) noexcept {
  const inet::Endpoint& source = connection.real_addr ? *connection.real_addr : connection.peer_addr;
  try {
    return throttle_.count(reason, inet::limit_key(source.ip).text(), now);
  } catch (const std::bad_alloc&) {
    hub_.note_lost(EventType::connection_rejected, wall_clock_ms());
    return false;
  }
}

void Reporter::session_up(const LiveSession& session) noexcept {
  auto& counted = scope(session.peer.listener);
  ++counted.handshakes_completed;
  ++counted.sessions_total;
  tell(EventType::session_up, [&](Event& event) {
    describe_session(event, session);
    event.set_list("addresses", texts(session.addresses));
    describe_tlvs(event, session.peer);
  });
}

// Throws std::bad_alloc with nobody told.
void Reporter::tell_end(const LiveSession& session, const std::string& detail) {
  if (!hub_.wanted(EventType::session_down)) return;
  Event event(EventType::session_down, session.ended_ms);
  describe_session(event, session);
  event.set("reason", reason_name(session.ended))
      .set_if("detail", detail)
      .set("duration_ms", session.lasted_ms)
      .set("bytes_in", session.counters.inner_bytes_in)
      .set("bytes_out", session.counters.inner_bytes_out);
  hub_.publish(std::move(event));
}

// True when nothing is left to be told.
bool Reporter::tell_ends() noexcept {
  try {
    while (untold_) {
      tell_end(*untold_, {});
      untold_ = std::move(untold_->next_untold);
    }
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

void Reporter::session_down(std::unique_ptr<LiveSession> session, Reason reason, const std::string& detail,
                            Time now) noexcept {
  scope(session->peer.listener).session_ended(reason);
  session->ended = reason;
  session->ended_ms = wall_clock_ms();
  // Not by the wall clock, which may have been set meanwhile.
  const auto lasted = std::max(now, session->since) - session->since;
  session->lasted_ms = static_cast<uint64_t>(std::chrono::duration_cast<milliseconds>(lasted).count());
  try {
    if (tell_ends()) {
      tell_end(*session, detail);
      return;
    }
  } catch (const std::bad_alloc&) {
    // It waits.
  }
  session->link = nullptr;
  session->limits.reset();
  std::unique_ptr<LiveSession>* last = &untold_;
  while (*last) last = &(*last)->next_untold;
  *last = std::move(session);
}

void Reporter::last_words() noexcept {
  for (int i = 0; i < 100 && !tell_ends(); ++i) std::this_thread::sleep_for(milliseconds(10));
  for (; untold_; untold_ = std::move(untold_->next_untold)) hub_.note_lost(EventType::session_down, untold_->ended_ms);
}

void Reporter::session_roamed(const LiveSession& session) noexcept {
  tell(EventType::session_roamed, [&](Event& event) { describe_session(event, session); });
}

void Reporter::health_changed(const LiveSession& session) noexcept {
  tell(EventType::health_changed, [&](Event& event) {
    describe_session(event, session);
    auto quality = session.quality.quality();
    event.set("health", telemetry::health_name(quality.health)).set("rtt_us", uint64_t{quality.rtt_us});
  });
}

void Reporter::client_changed(const std::string& client_id, const char* change, uint64_t revision) noexcept {
  tell(EventType::client_changed,
       [&](Event& event) { event.set("client_id", client_id).set("change", change).set("revision", revision); });
}

void Reporter::reconfigured(const std::vector<std::pair<std::string, std::string>>& changes) noexcept {
  tell(EventType::reconfigured, [&](Event& event) { event.set_object("changes", changes); });
}

void Reporter::log(LogLevel level, const std::string& message) noexcept {
  static constexpr const char* kLevels[] = {"debug", "info", "warning", "error"};
  tell(EventType::log,
       [&](Event& event) { event.set("level", kLevels[static_cast<int>(level)]).set("message", message); });
}

void Reporter::tick(Time now) noexcept {
  tell_ends();
  std::vector<telemetry::RejectionSummary> due;
  try {
    throttle_.tick(now, due);
  } catch (const std::bad_alloc&) {
    hub_.note_lost(EventType::connection_rejected, wall_clock_ms());
  }
  for (const auto& summary : due) {
    tell(EventType::connection_rejected, [&](Event& event) {
      event.set("reason", reason_name(summary.reason))
          .set_if("remote_addr", summary.address)
          .set("count", summary.count);
    });
  }
}

}  // namespace smartvpn::server
