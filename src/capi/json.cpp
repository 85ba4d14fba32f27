// Structs of the core as JSON texts. Keys are those of the configuration and of events wherever the
// same thing has a name there.
#include "capi/json.hpp"

#include "base/clock.hpp"
#include "session/admission.hpp"
#include "telemetry/json_text.hpp"

namespace smartvpn::capi {
namespace {

using telemetry::JsonObject;

std::string_view text_of(const std::string& text) { return text; }
std::string text_of(const inet::IpAddress& ip) { return ip.text(); }
std::string text_of(const inet::Cidr& cidr) { return cidr.text(); }

template <class T>
void list(JsonObject& object, std::string& out, std::string_view key, const std::vector<T>& items) {
  object.key(key);
  out += '[';
  for (size_t i = 0; i < items.size(); ++i) {
    if (i != 0) out += ',';
    telemetry::append_json_string(out, text_of(items[i]));
  }
  out += ']';
}

// `one(out, item)` appends each.
template <class T, class Fn>
std::string array(const std::vector<T>& items, Fn&& one) {
  std::string out = "[";
  for (size_t i = 0; i < items.size(); ++i) {
    if (i != 0) out += ',';
    one(out, items[i]);
  }
  return out += ']';
}

void counters(JsonObject& object, std::string& out, const telemetry::SessionCounters& counters) {
#define X(name, help) object.number(#name, counters.name);
  SMARTVPN_TRAFFIC_COUNTER_LIST(X)
#undef X
  object.key("drops");
  JsonObject drops(out);
  for (size_t i = 1; i < kDropCount; ++i)
    if (counters.drops[i] != 0) drops.number(drop_name(static_cast<Drop>(i)), counters.drops[i]);
  drops.close();
}

void quality(JsonObject& object, const telemetry::LinkQuality& quality) {
  object.number("rtt_us", quality.rtt_us);
  object.number("rtt_min_us", quality.rtt_min_us);
  object.number("jitter_us", quality.jitter_us);
  if (quality.loss_ppm) object.number("loss_ppm", *quality.loss_ppm);
  object.text("health", telemetry::health_name(quality.health));
}

void append(std::string& out, const server::BoundEndpoint& endpoint) {
  JsonObject object(out);
  object.number("listener", endpoint.listener);
  object.text("transport", session::transport_name(endpoint.transport));
  object.text("address", endpoint.address.text());
  object.close();
}

void append(std::string& out, const server::SessionInfo& session) {
  JsonObject object(out);
  object.number("id", session.id);
  object.text("client_id", session.client_id);
  object.number("listener", session.listener);
  object.text("transport", session::transport_name(session.transport));
  if (session.remote_addr) object.text("remote_addr", session.remote_addr->text());
  object.text("peer_addr", session.peer_addr.text());
  list(object, out, "addresses", session.addresses);
  object.signed_number("since", session.since_ms);
  object.signed_number("last_seen", session.last_seen_ms);
  counters(object, out, session.counters);
  quality(object, session.quality);
  object.close();
}

void flag(JsonObject& object, std::string& out, std::string_view key, bool value) {
  object.key(key);
  out += value ? "true" : "false";
}

std::vector<std::string> transport_names(registry::TransportMask mask) {
  std::vector<std::string> out;
  for (auto transport : {session::Transport::websocket, session::Transport::quic, session::Transport::wireguard})
    if (mask >> static_cast<unsigned>(transport) & 1) out.emplace_back(session::transport_name(transport));
  return out;
}

void append(std::string& out, const registry::ClientSecurity& security) {
  JsonObject object(out);
  list(object, out, "ip_allow_list", security.ip_allow_list);
  list(object, out, "ip_block_list", security.ip_block_list);
  list(object, out, "destination_allow_list", security.destination_allow_list);
  list(object, out, "destination_block_list", security.destination_block_list);
  object.key("rate_limit");
  JsonObject rate(out);
  rate.number("from_client_bytes_per_second", security.rate_limit.from_client_bytes_per_second);
  rate.number("from_client_burst_bytes", security.rate_limit.from_client_burst_bytes);
  rate.number("to_client_bytes_per_second", security.rate_limit.to_client_bytes_per_second);
  rate.number("to_client_burst_bytes", security.rate_limit.to_client_burst_bytes);
  rate.close();
  object.close();
}

void append(std::string& out, const registry::Rotation& rotation) {
  JsonObject object(out);
  object.text("previous_noise_public_key", format_key(rotation.noise_public_key));
  if (rotation.wireguard_public_key)
    object.text("previous_wireguard_public_key", format_key(*rotation.wireguard_public_key));
  object.signed_number("until", rotation.until_ms);
  flag(object, out, "seen", rotation.seen);
  object.close();
}

// Every key but secrets.
void append(std::string& out, const registry::Client& client) {
  JsonObject object(out);
  object.text("id", client.id);
  object.text("noise_public_key", format_key(client.noise_public_key));
  if (client.wireguard_public_key) object.text("wireguard_public_key", format_key(*client.wireguard_public_key));
  flag(object, out, "enabled", client.enabled);
  object.text("description", client.description);
  list(object, out, "tags", client.tags);
  if (client.expires_at_ms != 0) object.signed_number("expires_at", client.expires_at_ms);
  list(object, out, "addresses", client.addresses);
  list(object, out, "subnets", client.subnets);
  flag(object, out, "allow_overlap", client.allow_overlap);
  list(object, out, "transports", transport_names(client.transports));
  object.number("max_sessions", client.max_sessions);
  const bool refuses = client.session_policy == registry::SessionPolicy::refuse_new;
  object.text("session_policy", refuses ? "refuse-new" : "drop-oldest");
  object.number("priority", client.priority);
  object.key("security");
  append(out, client.security);
  object.number("revision", client.revision);
  if (client.rotating(wall_clock_ms())) {
    object.key("rotation");
    append(out, *client.rotation);
  }
  object.close();
}

void append(std::string& out, const registry::ClientPtr& client) { append(out, *client); }

const char* state_name(tunnel::State state) noexcept {
  switch (state) {
    case tunnel::State::created:
      return "created";
    case tunnel::State::connecting:
      return "connecting";
    case tunnel::State::connected:
      return "connected";
    case tunnel::State::waiting:
      return "waiting";
    case tunnel::State::stopped:
      return "stopped";
  }
  return "unknown";
}

template <class T>
std::string one(const T& value) {
  std::string out;
  append(out, value);
  return out;
}

template <class T>
std::string all(const std::vector<T>& values) {
  return array(values, [](std::string& out, const T& value) { append(out, value); });
}

}  // namespace

std::string to_json(const std::vector<server::BoundEndpoint>& endpoints) { return all(endpoints); }
std::string to_json(const server::SessionInfo& session) { return one(session); }
std::string to_json(const std::vector<server::SessionInfo>& sessions) { return all(sessions); }
std::string to_json(const registry::Client& client) { return one(client); }
std::string to_json(const std::vector<registry::ClientPtr>& clients) { return all(clients); }

std::string to_json(const server::ClientPage& page) {
  std::string out;
  JsonObject object(out);
  object.key("clients");
  out += all(page.clients);
  if (!page.next.empty()) object.text("next", page.next);
  object.number("matches", page.matches);
  object.number("revision", page.revision);
  object.close();
  return out;
}

std::string to_json(const tunnel::TunnelInfo& info) {
  std::string out;
  JsonObject object(out);
  object.text("state", state_name(info.state));
  object.text("server", info.server);
  if (info.server_addr) object.text("server_addr", info.server_addr->text());
  list(object, out, "addresses", info.addresses);
  list(object, out, "dns", info.dns);
  list(object, out, "routes", info.routes);
  object.number("mtu", info.mtu);
  object.text("device", info.device);
  if (info.next_server_key) object.text("next_server_public_key", format_key(*info.next_server_key));
  object.signed_number("since", info.since_ms);
  object.number("attempts", info.attempts);
  object.text("last_reason", reason_name(info.last_reason));
  if (!info.last_detail.empty()) object.text("last_detail", telemetry::clean_utf8(info.last_detail, 4096));
  counters(object, out, info.counters);
  quality(object, info.quality);
  object.close();
  return out;
}

}  // namespace smartvpn::capi
