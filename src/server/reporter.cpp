#include "server/reporter.hpp"

namespace smartvpn::server {
namespace {

using telemetry::Event;
using telemetry::EventType;

std::vector<std::string> texts(const std::vector<inet::IpAddress>& addresses) {
  std::vector<std::string> out;
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

void Reporter::listening(uint32_t listener, session::Transport transport, const inet::Endpoint& address) {
  Event event(EventType::listening, wall_clock_ms());
  event.set("listener", uint64_t{listener})
      .set("transport", session::transport_name(transport))
      .set("address", address.text());
  hub_.publish(std::move(event));
}

void Reporter::accepted(const session::Connection& connection) {
  if (!hub_.wanted(EventType::connection_accepted)) return;
  Event event(EventType::connection_accepted, wall_clock_ms());
  describe(event, connection);
  describe_tlvs(event, connection);
  hub_.publish(std::move(event));
}

void Reporter::rejected(const session::Connection& connection, Reason reason, const std::string& detail, Time now) {
  scope(connection.listener).reject(reason);
  if (!hub_.wanted(EventType::connection_rejected)) return;
  const inet::Endpoint& source = connection.real_addr ? *connection.real_addr : connection.peer_addr;
  if (!throttle_.count(reason, inet::limit_key(source.ip).text(), now)) return;
  Event event(EventType::connection_rejected, wall_clock_ms());
  describe(event, connection);
  event.set("reason", reason_name(reason)).set_if("detail", detail);
  describe_tlvs(event, connection);
  hub_.publish(std::move(event));
}

void Reporter::session_up(const LiveSession& session) {
  Event event(EventType::session_up, wall_clock_ms());
  describe_session(event, session);
  event.set_list("addresses", texts(session.addresses));
  describe_tlvs(event, session.peer);
  hub_.publish(std::move(event));
}

void Reporter::session_down(const LiveSession& session, Reason reason, const std::string& detail) {
  scope(session.peer.listener).session_ended(reason);
  Event event(EventType::session_down, wall_clock_ms());
  describe_session(event, session);
  event.set("reason", reason_name(reason))
      .set_if("detail", detail)
      .set("duration_ms", static_cast<uint64_t>(std::max<int64_t>(0, wall_clock_ms() - session.since_ms)))
      .set("bytes_in", session.counters.inner_bytes_in)
      .set("bytes_out", session.counters.inner_bytes_out);
  hub_.publish(std::move(event));
}

void Reporter::health_changed(const LiveSession& session) {
  Event event(EventType::health_changed, wall_clock_ms());
  describe_session(event, session);
  auto quality = session.quality.quality();
  event.set("health", telemetry::health_name(quality.health)).set("rtt_us", uint64_t{quality.rtt_us});
  hub_.publish(std::move(event));
}

void Reporter::client_changed(const std::string& client_id, const char* change) {
  Event event(EventType::client_changed, wall_clock_ms());
  event.set("client_id", client_id).set("change", change);
  hub_.publish(std::move(event));
}

void Reporter::log(LogLevel level, std::string message) {
  static constexpr const char* kLevels[] = {"debug", "info", "warning", "error"};
  Event event(EventType::log, wall_clock_ms());
  event.set("level", kLevels[static_cast<int>(level)]).set("message", message);
  hub_.publish(std::move(event));
}

void Reporter::tick(Time now) {
  if (throttle_.next_deadline() > now) return;
  std::vector<telemetry::RejectionSummary> due;
  throttle_.tick(now, due);
  for (const auto& summary : due) {
    Event event(EventType::connection_rejected, wall_clock_ms());
    event.set("reason", reason_name(summary.reason)).set_if("remote_addr", summary.address).set("count", summary.count);
    hub_.publish(std::move(event));
  }
}

}  // namespace smartvpn::server
