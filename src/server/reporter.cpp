#include "server/reporter.hpp"

#include <algorithm>
#include <new>

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
void Reporter::tell(EventType type, Fill&& fill) noexcept {
  if (!hub_.wanted(type)) return;
  try {
    Event event(type, wall_clock_ms());
    fill(event);
    hub_.publish(std::move(event));
  } catch (const std::bad_alloc&) {
    ++unsaid_;
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
    ++unsaid_;
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

void Reporter::session_down(const LiveSession& session, Reason reason, const std::string& detail) noexcept {
  scope(session.peer.listener).session_ended(reason);
  tell(EventType::session_down, [&](Event& event) {
    describe_session(event, session);
    event.set("reason", reason_name(reason))
        .set_if("detail", detail)
        .set("duration_ms", static_cast<uint64_t>(std::max<int64_t>(0, event.time_ms() - session.since_ms)))
        .set("bytes_in", session.counters.inner_bytes_in)
        .set("bytes_out", session.counters.inner_bytes_out);
  });
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
  if (throttle_.next_deadline() > now) return;
  std::vector<telemetry::RejectionSummary> due;
  try {
    throttle_.tick(now, due);
  } catch (const std::bad_alloc&) {
    ++unsaid_;
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
