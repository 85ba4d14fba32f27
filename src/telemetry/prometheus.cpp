// The Prometheus text of a snapshot (exposition format 0.0.4): one HELP and TYPE line a metric, all
// its series together. Sums are left to queries, so a metric has either labels or a single series.
#include "telemetry/json_text.hpp"
#include "telemetry/stats.hpp"

namespace smartvpn::telemetry {
namespace {

// Label values escape backslash, quote and line feed.
std::string escaped(std::string_view value) {
  std::string out;
  for (char c : clean_utf8(value, 256)) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

void label(std::string& labels, std::string_view name, std::string_view value) {
  if (!labels.empty()) labels += ',';
  labels += name;
  labels += "=\"";
  labels += escaped(value);
  labels += '"';
}

std::string listener_labels(const ListenerStats& listener) {
  std::string labels;
  label(labels, "listener", std::to_string(listener.listener));
  label(labels, "transport", listener.transport);
  label(labels, "address", listener.address);
  return labels;
}

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  void begin(std::string_view metric, std::string_view type, std::string_view help) {
    metric_ = "smartvpn_" + std::string(metric);
    out_ += "# HELP " + metric_ + ' ';
    out_ += help;
    out_ += "\n# TYPE " + metric_ + ' ';
    out_ += type;
    out_ += '\n';
  }
  void series(const std::string& labels, const std::string& value) {
    out_ += metric_;
    if (!labels.empty()) out_ += '{' + labels + '}';
    out_ += ' ' + value + '\n';
  }
  void series(const std::string& labels, uint64_t value) { series(labels, std::to_string(value)); }
  void single(std::string_view metric, std::string_view type, std::string_view help, const std::string& value) {
    begin(metric, type, help);
    series({}, value);
  }

 private:
  std::string& out_;
  std::string metric_;
};

// Seconds with three digits, as Prometheus wants times.
std::string seconds_text(int64_t ms) {
  std::string fraction = std::to_string(1000 + (ms % 1000 + 1000) % 1000).substr(1);
  int64_t whole = ms >= 0 ? ms / 1000 : 0;
  return std::to_string(whole) + '.' + fraction;
}

template <size_t N, class Name>
void write_by_reason(Writer& writer, const std::string& labels, const std::array<uint64_t, N>& values, Name name) {
  for (size_t i = 1; i < N; ++i) {
    std::string all = labels;
    label(all, "reason", name(i));
    writer.series(all, values[i]);
  }
}

// Microseconds as seconds.
std::string microseconds_text(uint32_t us) {
  return std::to_string(us / 1000000) + '.' + std::to_string(1000000 + us % 1000000).substr(1);
}

std::string client_labels(const ClientStats& client) {
  std::string labels;
  label(labels, "client", client.client_id);
  return labels;
}

void write_client_quality(Writer& writer, const std::vector<ClientStats>& clients, std::string_view metric,
                          std::string_view help, uint32_t LinkQuality::*member) {
  writer.begin(metric, "gauge", help);
  for (const auto& client : clients) {
    if (!client.quality || client.quality->samples == 0) continue;
    writer.series(client_labels(client), microseconds_text((*client.quality).*member));
  }
}

void write_clients(Writer& writer, const std::vector<ClientStats>& clients) {
  writer.begin("client_sessions", "gauge", "Sessions live now, by client");
  for (const auto& client : clients) writer.series(client_labels(client), client.sessions_now);
  writer.begin("client_sessions_total", "counter", "Sessions since the start, by client");
  for (const auto& client : clients) writer.series(client_labels(client), client.sessions_total);
  writer.begin("client_last_seen_timestamp_seconds", "gauge", "When something of the client's was last heard");
  for (const auto& client : clients) writer.series(client_labels(client), seconds_text(client.last_seen_ms));
#define X(name, help)                                                    \
  writer.begin("client_" #name "_total", "counter", help ", by client"); \
  for (const auto& client : clients) writer.series(client_labels(client), client.traffic.name);
  SMARTVPN_TRAFFIC_COUNTER_LIST(X)
#undef X
  writer.begin("client_packets_dropped_total", "counter", "Inner packets and messages dropped, by client and reason");
  for (const auto& client : clients) {
    for (size_t i = 1; i < kDropCount; ++i) {
      if (client.traffic.drops[i] == 0) continue;
      std::string labels = client_labels(client);
      label(labels, "reason", drop_name(static_cast<Drop>(i)));
      writer.series(labels, client.traffic.drops[i]);
    }
  }
  write_client_quality(writer, clients, "client_rtt_seconds", "Smoothed round trip time of the client's worst session",
                       &LinkQuality::rtt_us);
  write_client_quality(writer, clients, "client_rtt_min_seconds", "Shortest round trip time of the last minutes",
                       &LinkQuality::rtt_min_us);
  write_client_quality(writer, clients, "client_jitter_seconds", "Jitter of the round trip times",
                       &LinkQuality::jitter_us);
}

void write_wireguard(Writer& writer, const WireguardStats& stats) {
  writer.single("wireguard_peers", "gauge", "Keys that may begin a WireGuard handshake", std::to_string(stats.peers));
#define X(name, help) writer.single("wireguard_" #name "_total", "counter", help, std::to_string(stats.name));
  SMARTVPN_WIREGUARD_MESSAGE_LIST(X)
#undef X
  writer.begin("wireguard_datagrams_dropped_total", "counter", "WireGuard datagrams dropped, by reason");
#define X(name, help)                  \
  {                                    \
    std::string labels;                \
    label(labels, "reason", #name);    \
    writer.series(labels, stats.name); \
  }
  SMARTVPN_WIREGUARD_DROP_LIST(X)
#undef X
}

}  // namespace

std::string StatsSnapshot::prometheus() const {
  auto reason = [](size_t i) { return reason_name(static_cast<Reason>(i)); };
  auto drop = [](size_t i) { return drop_name(static_cast<Drop>(i)); };
  std::string out;
  Writer writer(out);
  writer.single("start_time_seconds", "gauge", "When the server started, in seconds since 1970",
                seconds_text(started_ms));
  writer.single("clients", "gauge", "Registered clients", std::to_string(clients));
  writer.single("memory_bytes", "gauge", "Memory of buffers, queues and sessions", std::to_string(memory_bytes));
  writer.single("memory_limit_bytes", "gauge", "Ceiling for that memory, 0 for none",
                std::to_string(memory_limit_bytes));
  writer.single("events_lost_total", "counter", "Events dropped because a subscription was full",
                std::to_string(events_lost));
  writer.single("callback_exceptions_total", "counter", "Exceptions that left a callback of the host's",
                std::to_string(callback_exceptions));
#define X(name, type, metric, help) \
  writer.begin(metric, type, help); \
  for (const auto& listener : listeners) writer.series(listener_labels(listener), listener.stats.name);
  SMARTVPN_SCOPE_COUNTER_LIST(X)
#undef X
#define X(name, help)                            \
  writer.begin(#name "_total", "counter", help); \
  for (const auto& listener : listeners) writer.series(listener_labels(listener), listener.stats.traffic.name);
  SMARTVPN_TRAFFIC_COUNTER_LIST(X)
#undef X
  writer.begin("connections_rejected_total", "counter", "Connections refused, by reason");
  for (const auto& listener : listeners)
    write_by_reason(writer, listener_labels(listener), listener.stats.rejections, reason);
  writer.begin("sessions_ended_total", "counter", "Sessions ended, by reason");
  write_by_reason(writer, {}, total.sessions_ended, reason);
  writer.begin("packets_dropped_total", "counter", "Inner packets and messages dropped, by reason");
  write_by_reason(writer, {}, total.traffic.drops, drop);
  writer.begin("sessions_by_health", "gauge", "Sessions live now, by the health of their path");
  for (size_t i = 0; i < kHealthCount; ++i) {
    std::string labels;
    label(labels, "health", health_name(static_cast<Health>(i)));
    writer.series(labels, sessions_by_health[i]);
  }
  if (wireguard) write_wireguard(writer, *wireguard);
  if (!by_client.empty()) write_clients(writer, by_client);
  return out;
}

}  // namespace smartvpn::telemetry
