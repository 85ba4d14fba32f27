// See relay_stats.hpp.
#include "relay/relay_stats.hpp"

#include <fmt/format.h>

#include <numeric>

#include "telemetry/json_text.hpp"

namespace smartvpn::relay {
namespace {

using telemetry::JsonObject;

void put_counters(JsonObject& out, const RelayCounters& counters) {
#define X(name, type, metric, help) out.number(#name, counters.name);
  SMARTVPN_RELAY_COUNTER_LIST(X)
#undef X
}

void put_rates(std::string& text, JsonObject& out, const RelayRates& rates) {
  out.key("rates");
  JsonObject by_window(text);
  for (size_t i = 0; i < RelayRates::kWindows.size(); ++i) {
    by_window.key(std::to_string(RelayRates::kWindows[i]));
    text += fmt::format(R"({{"connections":{:.2f},"bytes_in":{:.1f},"bytes_out":{:.1f}}})",
                        rates.connections_per_second[i], rates.bytes_in_per_second[i], rates.bytes_out_per_second[i]);
  }
  by_window.close();
}

void put_reasons(std::string& text, JsonObject& out, std::string_view key,
                 const std::array<uint64_t, kReasonCount>& counts) {
  out.key(key);
  JsonObject by_name(text);
  for (size_t i = 1; i < kReasonCount; ++i)
    if (counts[i] != 0) by_name.number(reason_name(static_cast<Reason>(i)), counts[i]);
  by_name.close();
}

constexpr const char* kUdpDropNames[] = {
#define X(name, help) #name,
    SMARTVPN_RELAY_UDP_DROP_LIST(X)
#undef X
};

void put_udp_drops(std::string& text, const UdpDrops& drops) {
  JsonObject out(text);
  for (size_t i = 0; i < kUdpDropCount; ++i)
    if (drops.counts[i] != 0) out.number(kUdpDropNames[i], drops.counts[i]);
  out.close();
}

void put_address(std::string& text, const AddressStats& address) {
  JsonObject out(text);
  if (address.address) out.text("address", address.address.text());
  out.number("connections_open", address.connections_open);
  out.number("connections_total", address.connections_total);
  out.number("bytes_in", address.bytes_in);
  out.number("bytes_out", address.bytes_out);
  out.close();
}

// As a label's value (text format 0.0.4).
std::string label_text(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\' || c == '"' || c == '\n') out += '\\';
    out += c == '\n' ? 'n' : c;
  }
  return out;
}

void head(std::string& out, std::string_view metric, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP smartvpn_relay_{0} {1}\n# TYPE smartvpn_relay_{0} {2}\n", metric, help, type);
}

void put_by_reason(std::string& out, std::string_view metric, const std::array<uint64_t, kReasonCount>& counts) {
  for (size_t i = 1; i < kReasonCount; ++i)
    if (counts[i] != 0)
      out += fmt::format("smartvpn_relay_{}{{reason=\"{}\"}} {}\n", metric, reason_name(static_cast<Reason>(i)),
                         counts[i]);
}

}  // namespace

void RelayCounters::add(const RelayCounters& other) noexcept {
#define X(name, type, metric, help) name += other.name;
  SMARTVPN_RELAY_COUNTER_LIST(X)
#undef X
}

void RelayRates::add(const RelayRates& other) noexcept {
  for (size_t i = 0; i < kWindows.size(); ++i) {
    connections_per_second[i] += other.connections_per_second[i];
    bytes_in_per_second[i] += other.bytes_in_per_second[i];
    bytes_out_per_second[i] += other.bytes_out_per_second[i];
  }
}

uint64_t RelaySnapshot::rejections_total() const noexcept {
  return std::accumulate(rejections.begin() + 1, rejections.end(), uint64_t{0});
}

std::string RelaySnapshot::json() const {
  std::string text;
  JsonObject out(text);
  out.signed_number("time", time_ms);
  out.signed_number("started", started_ms);
  out.number("events_lost", events_lost);
  put_counters(out, total);
#define X(name, type, metric, help) out.number(#name, udp.name);
  SMARTVPN_RELAY_UDP_COUNTER_LIST(X)
#undef X
  put_rates(text, out, rates);
  put_reasons(text, out, "rejections", rejections);
  put_reasons(text, out, "ended", ended);
  out.key("udp_drops");
  put_udp_drops(text, udp_drops);
  out.key("routes");
  text += '[';
  for (const RouteStats& route : routes) {
    if (text.back() != '[') text += ',';
    JsonObject one(text);
    one.text("route", route.route);
    put_counters(one, route.counters);
    put_rates(text, one, route.rates);
    one.close();
  }
  text += ']';
  out.key("addresses");
  text += '[';
  for (const AddressStats& address : addresses) {
    if (text.back() != '[') text += ',';
    put_address(text, address);
  }
  text += ']';
  out.key("other_addresses");
  put_address(text, other_addresses);
  out.close();
  return text;
}

std::string RelaySnapshot::prometheus() const {
  std::string out;
#define X(name, type, metric, help)                                                                     \
  head(out, metric, type, help);                                                                        \
  out += fmt::format("smartvpn_relay_{} {}\n", metric, total.name);                                     \
  head(out, "route_" metric, type, help ", by route");                                                  \
  for (const RouteStats& route : routes)                                                                \
    out += fmt::format("smartvpn_relay_route_{}{{route=\"{}\"}} {}\n", metric, label_text(route.route), \
                       route.counters.name);
  SMARTVPN_RELAY_COUNTER_LIST(X)
#undef X
#define X(name, type, metric, help) \
  head(out, metric, type, help);    \
  out += fmt::format("smartvpn_relay_{} {}\n", metric, udp.name);
  SMARTVPN_RELAY_UDP_COUNTER_LIST(X)
#undef X
  head(out, "rejections_total", "counter", "Connections refused, by reason");
  put_by_reason(out, "rejections_total", rejections);
  head(out, "ended_total", "counter", "Relayed connections that ended, by reason");
  put_by_reason(out, "ended_total", ended);
  head(out, "udp_drops_total", "counter", "Datagrams that went no further, by reason");
  for (size_t i = 0; i < kUdpDropCount; ++i)
    out += fmt::format("smartvpn_relay_udp_drops_total{{reason=\"{}\"}} {}\n", kUdpDropNames[i], udp_drops.counts[i]);
  head(out, "events_lost_total", "counter", "Events that subscriptions had no room for");
  out += fmt::format("smartvpn_relay_events_lost_total {}\n", events_lost);
  head(out, "start_time_seconds", "gauge", "When the relay was started, in seconds since 1970");
  out += fmt::format("smartvpn_relay_start_time_seconds {}\n", static_cast<double>(started_ms) / 1000);
  return out;
}

}  // namespace smartvpn::relay
