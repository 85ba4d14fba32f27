// Figures as texts: JSON by another reader, the exposition format line by line.
#include "relay/relay_stats.hpp"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <tuple>

namespace smartvpn::relay {
namespace {

using StatsJson = nlohmann::json;

// Every number another one.
RelayCounters counted(uint64_t first) {
  RelayCounters out;
#define X(name, type, metric, help) out.name = first++;
  SMARTVPN_RELAY_COUNTER_LIST(X)
#undef X
  return out;
}
RelaySnapshot full_snapshot() {
  RelaySnapshot out;
  out.time_ms = 1700000000123;
  out.started_ms = 1690000000500;
  out.events_lost = 3;
  out.total = counted(1000);
  out.udp = {1100, 1101, 1102, 1103};
  out.rates = {{1.25, 2.5, 3.75}, {10, 20, 30}, {100.5, 200.5, 1e12}};
  for (size_t i = 1; i < kReasonCount; ++i) {
    out.rejections[i] = i;
    out.ended[i] = 100 + i;
  }
  out.routes = {{"web", counted(2000), {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}}, {"route-1", counted(3000), {}}};
  out.addresses = {{*inet::IpAddress::parse("192.0.2.1"), 1, 2, 3, 4},
                   {*inet::IpAddress::parse("2001:db8::1"), 5, 6, 7, 8}};
  out.other_addresses = {{}, 9, 10, 11, UINT64_MAX};
  return out;
}

void expect_counters(const StatsJson& json, const RelayCounters& counters) {
#define X(name, type, metric, help) EXPECT_EQ(json.at(#name).get<uint64_t>(), counters.name) << #name;
  SMARTVPN_RELAY_COUNTER_LIST(X)
#undef X
}
void expect_rates(const StatsJson& json, const RelayRates& rates) {
  EXPECT_EQ(json.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const StatsJson& one = json.at(std::to_string(RelayRates::kWindows[i]));
    EXPECT_EQ(one.size(), 3u);
    EXPECT_EQ(one.at("connections"), rates.connections_per_second[i]);
    EXPECT_EQ(one.at("bytes_in"), rates.bytes_in_per_second[i]);
    EXPECT_EQ(one.at("bytes_out"), rates.bytes_out_per_second[i]);
  }
}

TEST(RelayFigures, JsonNamesEveryOne) {
  const RelaySnapshot snapshot = full_snapshot();
  const std::string text = snapshot.json();
  EXPECT_EQ(text.find_first_of("\n\r"), std::string::npos);
  const StatsJson json = StatsJson::parse(text);
  EXPECT_EQ(json.at("time"), 1700000000123);
  EXPECT_EQ(json.at("started"), 1690000000500);
  EXPECT_EQ(json.at("events_lost"), 3);
  expect_counters(json, snapshot.total);
#define X(name, type, metric, help) EXPECT_EQ(json.at(#name).get<uint64_t>(), snapshot.udp.name) << #name;
  SMARTVPN_RELAY_UDP_COUNTER_LIST(X)
#undef X
  expect_rates(json.at("rates"), snapshot.rates);
  EXPECT_EQ(json.at("rejections").size(), kReasonCount - 1);
  EXPECT_EQ(json.at("ended").size(), kReasonCount - 1);
  for (size_t i = 1; i < kReasonCount; ++i) {
    const char* name = reason_name(static_cast<Reason>(i));
    EXPECT_EQ(json.at("rejections").at(name), i) << name;
    EXPECT_EQ(json.at("ended").at(name), 100 + i) << name;
  }
  ASSERT_EQ(json.at("routes").size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(json["routes"][i].at("route"), snapshot.routes[i].route);
    expect_counters(json["routes"][i], snapshot.routes[i].counters);
    expect_rates(json["routes"][i].at("rates"), snapshot.routes[i].rates);
  }
  EXPECT_EQ(json.at("addresses"), StatsJson::parse(R"([
    {"address":"192.0.2.1","connections_open":1,"connections_total":2,"bytes_in":3,"bytes_out":4},
    {"address":"2001:db8::1","connections_open":5,"connections_total":6,"bytes_in":7,"bytes_out":8}])"));
  EXPECT_EQ(json.at("other_addresses"), StatsJson::parse(R"({"connections_open":9,"connections_total":10,"bytes_in":11,
    "bytes_out":18446744073709551615})"));
}

TEST(RelayFigures, JsonOfNothing) {
  const StatsJson json = StatsJson::parse(RelaySnapshot().json());
  expect_counters(json, {});
  expect_rates(json.at("rates"), {});
  EXPECT_EQ(json.at("rejections"), StatsJson::object()) << "reasons that did not occur are left out";
  EXPECT_EQ(json.at("ended"), StatsJson::object());
  EXPECT_EQ(json.at("routes"), StatsJson::array());
  EXPECT_EQ(json.at("addresses"), StatsJson::array());
}

TEST(RelayFigures, JsonHasNoKeyTwice) {
  std::vector<std::set<std::string>> open;
  auto check = [&](int, StatsJson::parse_event_t event, StatsJson& value) {
    if (event == StatsJson::parse_event_t::object_start) open.emplace_back();
    if (event == StatsJson::parse_event_t::object_end) open.pop_back();
    if (event == StatsJson::parse_event_t::key) {
      EXPECT_TRUE(open.back().insert(value.get<std::string>()).second) << value;
    }
    return true;
  };
  EXPECT_FALSE(StatsJson::parse(full_snapshot().json(), check).is_discarded());
}

TEST(RelayFigures, NamesOfRoutesAreQuotedInJson) {
  RelaySnapshot snapshot;
  const std::string names[] = {"a\"b\\c", "\n\t\x01\x7f", "caf\xc3\xa9 \xe2\x86\x92 x", "{}[],:", ""};
  for (const std::string& name : names) snapshot.routes.push_back({name, {}, {}});
  const StatsJson json = StatsJson::parse(snapshot.json());
  for (size_t i = 0; i < std::size(names); ++i) EXPECT_EQ(json["routes"][i].at("route"), names[i]);
}

TEST(RelayFigures, AddUp) {
  RelayCounters sum = counted(5);
  sum.add(counted(100));
  uint64_t expected = 105;
#define X(name, type, metric, help)       \
  EXPECT_EQ(sum.name, expected) << #name; \
  expected += 2;
  SMARTVPN_RELAY_COUNTER_LIST(X)
#undef X
  UdpCounters udp{1, 2, 3, 4};
  udp.add({10, 20, 30, 40});
  EXPECT_EQ(std::tie(udp.udp_flows_total, udp.udp_flows_open, udp.udp_datagrams_in, udp.udp_datagrams_out),
            std::make_tuple(11u, 22u, 33u, 44u));
  RelayRates rates{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}};
  rates.add({{10, 20, 30}, {40, 50, 60}, {70, 80, 90}});
  EXPECT_EQ(rates.connections_per_second, (std::array<double, 3>{11, 22, 33}));
  EXPECT_EQ(rates.bytes_in_per_second, (std::array<double, 3>{44, 55, 66}));
  EXPECT_EQ(rates.bytes_out_per_second, (std::array<double, 3>{77, 88, 99}));
}

TEST(RelayFigures, RejectionsInAllAreThoseWithAReason) {
  RelaySnapshot snapshot = full_snapshot();
  EXPECT_EQ(snapshot.rejections_total(), kReasonCount * (kReasonCount - 1) / 2);
  snapshot.rejections[0] = 1000000;
  EXPECT_EQ(snapshot.rejections_total(), kReasonCount * (kReasonCount - 1) / 2);
  EXPECT_EQ(RelaySnapshot().rejections_total(), 0u);
}

// The text format 0.0.4, read as strictly as its description allows.
struct Exposition {
  struct Sample {
    std::string metric;
    std::map<std::string, std::string> labels;
    std::string value;
  };
  std::map<std::string, std::string> types;  // by metric
  std::vector<Sample> samples;

  explicit Exposition(const std::string& text) {
    EXPECT_TRUE(text.ends_with("\n"));
    std::istringstream lines(text);
    std::string line, helped, current;
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      std::string hash, keyword, metric, rest;
      if (line.starts_with("# ")) {
        words >> hash >> keyword >> metric;
        std::getline(words, rest);
        EXPECT_GT(rest.size(), 1u) << line;
        if (keyword == "HELP") {
          helped = metric;
        } else {
          EXPECT_EQ(keyword, "TYPE") << line;
          EXPECT_EQ(metric, helped) << "HELP comes before TYPE";
          EXPECT_TRUE(types.emplace(metric, rest.substr(1)).second) << metric << " is described twice";
          current = metric;
        }
        continue;
      }
      samples.push_back(sample(line));
      EXPECT_EQ(samples.back().metric, current) << "samples stand below their description: " << line;
    }
  }
  static Sample sample(const std::string& line) {
    Sample out;
    size_t at = line.find_first_of("{ ");
    out.metric = line.substr(0, at);
    EXPECT_EQ(out.metric.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos) << line;
    if (at != std::string::npos && line[at] == '{') {
      while (line[at] != '}') {
        const size_t equals = line.find("=\"", ++at);
        const std::string name = line.substr(at, equals - at);
        std::string value;
        for (at = equals + 2; at < line.size() && line[at] != '"'; ++at) {
          if (line[at] != '\\') {
            value += line[at];
            continue;
          }
          ++at;
          EXPECT_NE(std::string_view("\\\"n").find(line[at]), std::string_view::npos) << line;
          value += line[at] == 'n' ? '\n' : line[at];
        }
        EXPECT_TRUE(out.labels.emplace(name, value).second) << line;
        if (++at >= line.size() || (line[at] != '}' && line[at] != ',')) {
          ADD_FAILURE() << "broken labels: " << line;
          return out;
        }
      }
      ++at;
    }
    EXPECT_EQ(line[at], ' ') << line;
    out.value = line.substr(at + 1);
    EXPECT_EQ(out.value.find_first_not_of("0123456789."), std::string::npos) << line;
    return out;
  }
  std::string value(const std::string& metric, const std::map<std::string, std::string>& labels = {}) const {
    std::string found;
    for (const Sample& one : samples)
      if (one.metric == "smartvpn_relay_" + metric && one.labels == labels) found += one.value;
    return found;
  }
};

TEST(RelayFigures, PrometheusNamesEveryOne) {
  const RelaySnapshot snapshot = full_snapshot();
  const Exposition got(snapshot.prometheus());
#define X(name, type, metric, help)                                            \
  EXPECT_EQ(got.types.at("smartvpn_relay_" metric), type);                     \
  EXPECT_EQ(got.types.at("smartvpn_relay_route_" metric), type);               \
  EXPECT_EQ(got.value(metric), std::to_string(snapshot.total.name)) << metric; \
  for (const RouteStats& one : snapshot.routes)                                \
    EXPECT_EQ(got.value("route_" metric, {{"route", one.route}}), std::to_string(one.counters.name)) << metric;
  SMARTVPN_RELAY_COUNTER_LIST(X)
#undef X
#define X(name, type, metric, help)                        \
  EXPECT_EQ(got.types.at("smartvpn_relay_" metric), type); \
  EXPECT_EQ(got.value(metric), std::to_string(snapshot.udp.name)) << metric;
  SMARTVPN_RELAY_UDP_COUNTER_LIST(X)
#undef X
  for (size_t i = 1; i < kReasonCount; ++i) {
    const char* name = reason_name(static_cast<Reason>(i));
    EXPECT_EQ(got.value("rejections_total", {{"reason", name}}), std::to_string(i));
    EXPECT_EQ(got.value("ended_total", {{"reason", name}}), std::to_string(100 + i));
  }
  EXPECT_EQ(got.value("events_lost_total"), "3");
  EXPECT_EQ(std::stod(got.value("start_time_seconds")), 1690000000.5);
  EXPECT_EQ(got.types.at("smartvpn_relay_start_time_seconds"), "gauge");
  for (const auto& [metric, type] : got.types) {
    EXPECT_TRUE(metric.starts_with("smartvpn_relay_")) << metric;
    EXPECT_EQ(metric.ends_with("_total"), type == "counter") << metric;
  }
}

TEST(RelayFigures, PrometheusOfNothingDescribesTheSame) {
  const Exposition nothing(RelaySnapshot().prometheus()), full(full_snapshot().prometheus());
  EXPECT_EQ(nothing.types, full.types);
  EXPECT_EQ(nothing.value("connections_open"), "0");
  EXPECT_EQ(nothing.samples.size(), 6u + 4 + 2 + kUdpDropCount);
}

TEST(RelayFigures, NamesOfRoutesAreEscapedInLabels) {
  RelaySnapshot snapshot;
  const std::string names[] = {"a\"b", "a\\b", "a\\",         "\\\"",        "a\nb",
                               "\n",   "\\n",  "{x=\"y\"} 1", "caf\xc3\xa9", "a,b=c"};
  uint64_t count = 10;
  for (const std::string& name : names) {
    snapshot.routes.push_back({name, {}, {}});
    snapshot.routes.back().counters.bytes_in = ++count;
  }
  const Exposition got(snapshot.prometheus());
  count = 10;
  for (const std::string& name : names)
    EXPECT_EQ(got.value("route_bytes_in_total", {{"route", name}}), std::to_string(++count)) << name;
}

}  // namespace
}  // namespace smartvpn::relay
