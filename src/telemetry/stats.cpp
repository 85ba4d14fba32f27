// Sums and the JSON text of a snapshot. The Prometheus text is in prometheus.cpp.
#include "telemetry/stats.hpp"

#include "telemetry/json_text.hpp"

namespace smartvpn::telemetry {
namespace {

template <size_t N, class Name>
void write_named(JsonObject& parent, std::string& out, std::string_view key, const std::array<uint64_t, N>& values,
                 Name name) {
  parent.key(key);
  JsonObject object(out);
  for (size_t i = 1; i < N; ++i)
    if (values[i] != 0) object.number(name(i), values[i]);
  object.close();
}

void write_scope(JsonObject& object, std::string& out, const ScopeStats& scope) {
  auto reason = [](size_t i) { return reason_name(static_cast<Reason>(i)); };
  auto drop = [](size_t i) { return drop_name(static_cast<Drop>(i)); };
#define X(name, type, metric, help) object.number(#name, scope.name);
  SMARTVPN_SCOPE_COUNTER_LIST(X)
#undef X
#define X(name, help) object.number(#name, scope.traffic.name);
  SMARTVPN_TRAFFIC_COUNTER_LIST(X)
#undef X
  write_named(object, out, "rejections", scope.rejections, reason);
  write_named(object, out, "sessions_ended", scope.sessions_ended, reason);
  write_named(object, out, "drops", scope.traffic.drops, drop);
}

void write_health(JsonObject& parent, std::string& out, const std::array<uint64_t, kHealthCount>& sessions) {
  parent.key("sessions_by_health");
  JsonObject object(out);
  for (size_t i = 0; i < kHealthCount; ++i) object.number(health_name(static_cast<Health>(i)), sessions[i]);
  object.close();
}

void write_listeners(JsonObject& parent, std::string& out, const std::vector<ListenerStats>& listeners) {
  parent.key("listeners");
  out += '[';
  for (size_t i = 0; i < listeners.size(); ++i) {
    if (i != 0) out += ',';
    JsonObject object(out);
    object.number("listener", listeners[i].listener);
    object.text("transport", clean_utf8(listeners[i].transport, 64));
    object.text("address", clean_utf8(listeners[i].address, 256));
    write_scope(object, out, listeners[i].stats);
    object.close();
  }
  out += ']';
}

void write_transports(JsonObject& parent, std::string& out, const std::vector<TransportStats>& transports) {
  parent.key("transports");
  JsonObject by_name(out);
  for (const auto& transport : transports) {
    by_name.key(clean_utf8(transport.transport, 64));
    JsonObject object(out);
    write_scope(object, out, transport.stats);
    object.close();
  }
  by_name.close();
}

void write_wireguard(JsonObject& parent, std::string& out, const WireguardStats& stats) {
  parent.key("wireguard");
  JsonObject object(out);
  object.number("peers", stats.peers);
#define X(name, help) object.number(#name, stats.name);
  SMARTVPN_WIREGUARD_COUNTER_LIST(X)
#undef X
  object.close();
}

}  // namespace

void WireguardStats::add(const WireguardStats& other) noexcept {
  peers += other.peers;
#define X(name, help) name += other.name;
  SMARTVPN_WIREGUARD_COUNTER_LIST(X)
#undef X
}

uint64_t ScopeStats::rejections_total() const noexcept {
  uint64_t sum = 0;
  for (size_t i = 1; i < rejections.size(); ++i) sum += rejections[i];
  return sum;
}

void ScopeStats::add(const ScopeStats& other) noexcept {
#define X(name, type, metric, help) name += other.name;
  SMARTVPN_SCOPE_COUNTER_LIST(X)
#undef X
  for (size_t i = 0; i < rejections.size(); ++i) rejections[i] += other.rejections[i];
  for (size_t i = 0; i < sessions_ended.size(); ++i) sessions_ended[i] += other.sessions_ended[i];
  traffic.add(other.traffic);
}

std::string ClientStats::json() const {
  std::string out;
  JsonObject object(out);
  object.text("client_id", clean_utf8(client_id, 256));
  object.number("sessions_now", sessions_now);
  object.number("sessions_total", sessions_total);
  if (last_seen_ms != 0) object.signed_number("last_seen", last_seen_ms);
#define X(name, help) object.number(#name, traffic.name);
  SMARTVPN_TRAFFIC_COUNTER_LIST(X)
#undef X
  write_named(object, out, "drops", traffic.drops, [](size_t i) { return drop_name(static_cast<Drop>(i)); });
  if (quality) {
    object.number("rtt_us", quality->rtt_us);
    object.number("rtt_min_us", quality->rtt_min_us);
    object.number("jitter_us", quality->jitter_us);
    if (quality->loss_ppm) object.number("loss_ppm", *quality->loss_ppm);
    object.text("health", health_name(quality->health));
  }
  object.close();
  return out;
}

std::string StatsSnapshot::json() const {
  std::string out;
  JsonObject object(out);
  object.signed_number("time", time_ms);
  object.signed_number("started", started_ms);
  object.number("clients", clients);
  object.number("memory_bytes", memory_bytes);
  object.number("memory_limit_bytes", memory_limit_bytes);
  object.number("events_lost", events_lost);
  object.number("callback_exceptions", callback_exceptions);
  if (!aead.empty()) object.text("aead", aead);
  write_health(object, out, sessions_by_health);
  object.key("total");
  JsonObject scope(out);
  write_scope(scope, out, total);
  scope.close();
  write_listeners(object, out, listeners);
  write_transports(object, out, transports);
  if (wireguard) write_wireguard(object, out, *wireguard);
  object.close();
  return out;
}

}  // namespace smartvpn::telemetry
