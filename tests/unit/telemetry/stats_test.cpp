#include "telemetry/stats.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

namespace smartvpn::telemetry {
namespace {

StatsSnapshot example() {
  StatsSnapshot stats;
  stats.time_ms = 2000;
  stats.started_ms = 1500;
  stats.clients = 3;
  ListenerStats listener{0, "websocket", "[::]:8443", {}};
  listener.stats.connections_total = 7;
  listener.stats.sessions_now = 2;
  listener.stats.reject(Reason::rate_limited);
  listener.stats.session_ended(Reason::replaced);
  listener.stats.traffic.inner_packets_in = 11;
  listener.stats.traffic.drop(Drop::spoofed_source, 4);
  stats.total.add(listener.stats);
  stats.total.traffic.drop(Drop::no_route);
  stats.transports.push_back({"websocket", listener.stats});
  stats.listeners.push_back(listener);
  stats.sessions_by_health = {1, 0, 1, 0};
  return stats;
}

ClientStats client(const char* id, uint32_t rtt_us) {
  ClientStats out;
  out.client_id = id;
  out.sessions_now = 1;
  out.sessions_total = 5;
  out.last_seen_ms = 1234567;
  out.traffic.inner_bytes_in = 99;
  out.traffic.drop(Drop::rate_limit, 3);
  if (rtt_us != 0) {
    out.quality.emplace();
    out.quality->samples = 1;
    out.quality->rtt_us = rtt_us;
  }
  return out;
}

TEST(Stats, SumsAddUp) {
  auto stats = example();
  stats.total.add(stats.total);
  EXPECT_EQ(stats.total.connections_total, 14u);
  EXPECT_EQ(stats.total.rejections_total(), 2u);
  EXPECT_EQ(stats.total.traffic.inner_packets_in, 22u);
  EXPECT_EQ(stats.total.traffic.drops_total(), 10u);
}

TEST(Stats, NoneIsNeitherARejectionNorADrop) {
  ScopeStats scope;
  scope.reject(Reason::none);
  scope.traffic.drop(Drop::none);
  EXPECT_EQ(scope.rejections_total(), 0u);
  EXPECT_EQ(scope.traffic.drops_total(), 0u);
}

TEST(Stats, JsonHoldsTotalsListenersAndTransports) {
  auto text = example().json();
  EXPECT_EQ(text.find('\n'), std::string::npos);
  auto json = nlohmann::json::parse(text, nullptr, false);
  ASSERT_TRUE(json.is_object()) << text;
  EXPECT_EQ(json["clients"], 3);
  EXPECT_EQ(json["total"]["drops"], (nlohmann::json{{"spoofed_source", 4}, {"no_route", 1}}));
  EXPECT_EQ(json["total"]["rejections"], (nlohmann::json{{"rate_limited", 1}}));
  EXPECT_EQ(json["listeners"][0]["address"], "[::]:8443");
  EXPECT_EQ(json["listeners"][0]["inner_packets_in"], 11);
  EXPECT_EQ(json["sessions_by_health"]["poor"], 1);
  EXPECT_EQ(json["transports"]["websocket"]["sessions_ended"]["replaced"], 1);
}

TEST(Stats, PrometheusTextHasOneTypeLineAMetricAndNoDuplicateSeries) {
  auto stats = example();
  stats.listeners.push_back(stats.listeners[0]);
  stats.listeners[1].listener = 1;
  stats.by_client = {client("alice", 20500), client("bob", 0)};
  std::set<std::string> types, series;
  std::string current, line;
  std::istringstream lines(stats.prometheus());
  while (std::getline(lines, line)) {
    if (line.rfind("# HELP ", 0) == 0) {
      current = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(types.insert(current).second) << line;
      continue;
    }
    if (line.rfind("# TYPE ", 0) == 0) {
      EXPECT_EQ(line.rfind("# TYPE " + current + " ", 0), 0u) << line;
      bool counter = line.find(" counter") != std::string::npos;
      bool total = current.size() > 6 && current.substr(current.size() - 6) == "_total";
      EXPECT_EQ(counter, total) << line;
      continue;
    }
    std::string name = line.substr(0, line.find_first_of("{ "));
    EXPECT_EQ(name, current) << line;
    size_t value = line.rfind(' ');
    EXPECT_NE(line.find_first_of("0123456789", value), std::string::npos) << line;
    EXPECT_EQ(line.find_first_not_of("0123456789.", value + 1), std::string::npos) << line;
    EXPECT_EQ(line[name.size()] == '{', line[value - 1] == '}') << line;
    EXPECT_TRUE(series.insert(line.substr(0, line.rfind(' '))).second) << line;
  }
  auto text = stats.prometheus();
  for (auto expected :
       {"smartvpn_connections_total{listener=\"0\",transport=\"websocket\",address=\"[::]:8443\"} 7\n",
        "smartvpn_packets_dropped_total{reason=\"spoofed_source\"} 4\n", "smartvpn_start_time_seconds 1.500\n",
        "smartvpn_packets_dropped_total{reason=\"replayed\"} 0\n", "smartvpn_sessions_by_health{health=\"poor\"} 1\n",
        "smartvpn_client_inner_bytes_in_total{client=\"bob\"} 99\n",
        "smartvpn_client_packets_dropped_total{client=\"alice\",reason=\"rate_limit\"} 3\n",
        "smartvpn_client_rtt_seconds{client=\"alice\"} 0.020500\n",
        "smartvpn_client_last_seen_timestamp_seconds{client=\"alice\"} 1234.567\n",
        "\"1\",transport=\"websocket\",address=\"[::]:8443\",reason=\"rate_limited\"} 1\n"})
    EXPECT_NE(text.find(expected), std::string::npos) << expected;
}

TEST(Stats, NothingIsSaidByClientUnlessItIsAskedForAndNoRttBeforeASample) {
  auto stats = example();
  EXPECT_EQ(stats.prometheus().find("smartvpn_client_"), std::string::npos);
  stats.by_client = {client("bob", 0)};
  EXPECT_NE(stats.prometheus().find("smartvpn_client_sessions{client=\"bob\"} 1\n"), std::string::npos);
  EXPECT_EQ(stats.prometheus().find("smartvpn_client_rtt_seconds{"), std::string::npos);
}

TEST(Stats, JsonOfAClientHoldsCountersDropsAndQuality) {
  auto json = nlohmann::json::parse(client("alice", 20500).json(), nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["client_id"], "alice");
  EXPECT_EQ(json["sessions_total"], 5);
  EXPECT_EQ(json["inner_bytes_in"], 99);
  EXPECT_EQ(json["drops"], (nlohmann::json{{"rate_limit", 3}}));
  EXPECT_EQ(json["rtt_us"], 20500);
  EXPECT_EQ(json["health"], "good");
  EXPECT_FALSE(json.contains("loss_ppm"));
  EXPECT_FALSE(nlohmann::json::parse(client("bob", 0).json()).contains("rtt_us"));
}

TEST(Stats, PrometheusEscapesLabelValues) {
  auto stats = example();
  stats.listeners[0].address = "a\"b\\c\nd";
  EXPECT_NE(stats.prometheus().find(R"(address="a\"b\\c\nd")"), std::string::npos);
}

}  // namespace
}  // namespace smartvpn::telemetry
