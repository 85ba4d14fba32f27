// A relay's own life: limits, lists, change while it runs, stop, statistics.
#include <dirent.h>

#include <thread>

#include "support/relay_bench.hpp"

namespace smartvpn::relay {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the harness of these tests

json behind_proxy() { return {{"accept_proxy_protocol", "any"}, {"trusted_proxies", {"127.0.0.1"}}}; }

RawSocket client_of(const RunningRelay& relay, const std::string& from) {
  RawSocket client(relay.port());
  client.send("PROXY TCP4 " + from + " 203.0.113.9 1 443\r\nx");
  return client;
}

TEST(RelayLimits, AreThoseOfTheRealAddress) {
  RawListener target;
  RunningRelay relay(relay_config(route(to(target.port())), behind_proxy(), {{"limits", {{"connections_per_ip", 2}}}}));
  std::vector<RawSocket> held;
  for (const char* from : {"198.51.100.7", "198.51.100.7", "198.51.100.8"}) {
    held.push_back(client_of(relay, from));
    held.push_back(target.accept());
    EXPECT_EQ(held.back().read(1), "x");
  }
  RawSocket third = client_of(relay, "198.51.100.7");
  third.read_to_end();
  EXPECT_EQ(relay.rejected(), "too_many_connections");
  held[0].close();
  while (relay.relay->connections()->size() > 2) ::usleep(1000);
  RawSocket fourth = client_of(relay, "198.51.100.7");
  EXPECT_EQ(target.accept().read(1), "x");
}

TEST(RelayLimits, InAllOnARouteAndPerMinute) {
  RawListener target;
  for (const json& limits : {json{{"limits", {{"connections", 1}}}}, json{{"limits", {{"connections_per_ip", 1}}}}}) {
    RunningRelay relay(relay_config(route(to(target.port())), {}, limits));
    RawSocket first(relay.port());
    RawSocket server = target.accept();
    RawSocket second(relay.port());
    second.read_to_end();
    EXPECT_EQ(relay.rejected(), "too_many_connections") << limits;
  }
  json one = route(to(target.port()));
  one["max_connections"] = 1;
  RunningRelay routed(relay_config(one));
  RawSocket first(routed.port());
  RawSocket server = target.accept();
  RawSocket second(routed.port());
  second.read_to_end();
  EXPECT_EQ(routed.rejected(), "too_many_connections");
  RunningRelay slow(
      relay_config(route(to(target.port())), {}, {{"limits", {{"new_connections_per_ip_per_minute", 2}}}}));
  for (int i = 0; i < 2; ++i) {
    RawSocket client(slow.port());
    target.accept();
  }
  RawSocket hasty(slow.port());
  hasty.read_to_end();
  EXPECT_EQ(slow.rejected(), "rate_limited");
}

TEST(RelayLimits, ListsJudgeTheRealAddress) {
  RawListener target;
  json security = {{"security", {{"ip_block_list", {"198.51.100.7"}}, {"ip_allow_list", {"198.51.100.0/24"}}}}};
  RunningRelay relay(relay_config(route(to(target.port())), behind_proxy(), security));
  client_of(relay, "198.51.100.7").read_to_end();
  EXPECT_EQ(relay.rejected(), "ip_block_list");
  client_of(relay, "192.0.2.1").read_to_end();
  EXPECT_EQ(relay.rejected(), "client_ip_not_allowed");
  RawSocket let_in = client_of(relay, "198.51.100.8");
  EXPECT_EQ(target.accept().read(1), "x");
}

TEST(RelayChange, RoutesAndPortsComeAndGoAndNobodyIsDisturbed) {
  RawListener before, after;
  json config = relay_config(route(to(before.port())));
  RunningRelay relay(config);
  const uint16_t port = relay.port();
  RawSocket old(port);
  RawSocket old_server = before.accept();
  config["routes"] = json::array({route(to(after.port()))});
  config["listen"].push_back(listener());
  ASSERT_TRUE(relay.reconfigure(config).ok());
  EXPECT_EQ(relay.port(), port) << "a listener that stays keeps its socket";
  ASSERT_EQ(relay.relay->endpoints().size(), 2u);
  for (size_t i : {size_t{0}, size_t{1}}) {
    RawSocket client(relay.port(i));
    client.send("new");
    RawSocket server = after.accept();
    EXPECT_EQ(server.read(3), "new");
  }
  const uint16_t second = relay.port(1);
  config["listen"].erase(1);
  ASSERT_TRUE(relay.reconfigure(config).ok());
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(second);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_NE(::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  ::close(fd);
  old.send("still here");
  EXPECT_EQ(old_server.read(10), "still here");
  EXPECT_EQ(relay.event(telemetry::EventType::reconfigured)->type(), telemetry::EventType::reconfigured);
}

TEST(RelayChange, WhatCannotBeOpenedChangesNothing) {
  RawListener target, taken;
  json config = relay_config(route(to(target.port())));
  RunningRelay relay(config);
  json wrong = config;
  wrong["listen"].push_back(listener());
  wrong["listen"].push_back(listener({{"port", taken.port()}}));
  wrong["routes"] = json::array({route(to(taken.port() == 1 ? 2 : 1))});
  const auto changed = relay.reconfigure(wrong);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().status, Status::SYSTEM);
  EXPECT_EQ(changed.error().path, "/listen/2");
  EXPECT_EQ(relay.relay->endpoints().size(), 1u);
  RawSocket client(relay.port());
  client.send("x");
  EXPECT_EQ(target.accept().read(1), "x");
}

TEST(RelayChange, AStartThatFailsLeavesNothing) {
  RawListener taken;
  json config = relay_config(route(to(1)));
  config["listen"].push_back(listener({{"port", taken.port()}}));
  auto made = Relay::create(*config::parse_relay_config(config.dump()));
  ASSERT_TRUE(made.ok());
  const auto started = (*made)->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().system_errno, EADDRINUSE);
  EXPECT_EQ((*made)->state(), Relay::State::stopped);
  EXPECT_EQ((*made)->stats().error().status, Status::BAD_STATE);
}

TEST(RelayStop, DrainingLetsConnectionsEndAndTakesNoNewOnes) {
  RawListener target;
  RunningRelay relay(relay_config(route(to(target.port()))));
  const uint16_t port = relay.port();
  RawSocket client(port);
  RawSocket server = target.accept();
  EXPECT_EQ(relay.relay->stop(20000, 0).error().status, Status::AGAIN);
  while (relay.relay->state() == Relay::State::running) ::usleep(1000);
  client.send("goes on");
  EXPECT_EQ(server.read(7), "goes on");
  EXPECT_EQ(relay.relay->stop(20000, 50).error().status, Status::TIMEOUT);
  client.close();
  EXPECT_TRUE(relay.relay->stop(20000, -1).ok());
  EXPECT_EQ(relay.relay->state(), Relay::State::stopped);
  EXPECT_TRUE(relay.relay->stop(0, 0).ok());
  RawListener reused(port);  // the port is free
}

TEST(RelayStop, TheTimeToDrainEndsConnectionsAndAShorterOneMayFollow) {
  RawListener target;
  RunningRelay relay(relay_config(route(to(target.port()))));
  RawSocket client(relay.port());
  RawSocket server = target.accept();
  (void)relay.relay->stop(60000, 0);
  EXPECT_TRUE(relay.relay->stop(100, -1).ok());
  client.read_to_end();
  EXPECT_EQ(client.ending(), Ending::reset);
  EXPECT_EQ(relay.closed(), "relay_stopping");
  for (;;) {
    auto next = relay.events->next(1000);
    if (next) continue;
    EXPECT_EQ(next.error().status, Status::CLOSED);
    break;
  }
}

TEST(RelayStop, FreeingWithConnectionsInEveryStageIsClean) {
  RawListener target;
  json routes = json::array({route(to(target.port()))});
  routes[0]["match"] = {{"domains", {"a.test"}}};
  json config = relay_config(routes, behind_proxy());
  config["limits"] = {{"threads", 3}};
  std::vector<RawSocket> clients;
  {
    RunningRelay relay(config);
    for (int i = 0; i < 30; ++i) {
      clients.emplace_back(relay.port());
      if (i % 3 > 0) clients.back().send("PROXY TCP4 198.51.100." + std::to_string(i) + " 203.0.113.9 1 443\r\n");
      if (i % 3 > 1) clients.back().send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    }
    while (relay.relay->connections()->size() < 30) ::usleep(1000);
  }
  for (RawSocket& client : clients) EXPECT_EQ(client.read_to_end(), "");
}

TEST(RelayStats, CountConnectionsAndBytesInAllByRouteAndByAddress) {
  RawListener target;
  json named = route(to(target.port()), {{"send_proxy_protocol", "v2"}});
  named["name"] = "web";
  RunningRelay relay(relay_config(named, behind_proxy()));
  {
    RawSocket client = client_of(relay, "198.51.100.7");
    RawSocket server = target.accept();
    EXPECT_EQ(server.read_through("x").back(), 'x');
    server.send("four");
    EXPECT_EQ(client.read(4), "four");
    const auto open = *relay.relay->stats();
    EXPECT_EQ(open.total.connections_open, 1u);
    EXPECT_EQ(open.routes.at(0).counters.connections_open, 1u);
    EXPECT_EQ(open.total.bytes_out, 4u) << "also of a connection that is open";
  }
  relay.expect_empty();
  const auto stats = *relay.relay->stats();
  EXPECT_EQ(stats.total.connections_total, 1u);
  EXPECT_EQ(stats.total.connections_open, 0u);
  EXPECT_EQ(stats.total.connections_relayed, 1u);
  EXPECT_EQ(stats.total.bytes_in, 1u) << "neither header is a client's byte";
  EXPECT_EQ(stats.total.bytes_out, 4u);
  ASSERT_EQ(stats.routes.size(), 1u);
  EXPECT_EQ(stats.routes[0].route, "web");
  EXPECT_EQ(stats.routes[0].counters.bytes_in, 1u);
  ASSERT_EQ(stats.addresses.size(), 1u);
  EXPECT_EQ(stats.addresses[0].address.text(), "198.51.100.7");
  EXPECT_EQ(stats.addresses[0].connections_open, 0u);
  EXPECT_EQ(stats.addresses[0].bytes_out, 4u);
  EXPECT_EQ(stats.ended[static_cast<size_t>(Reason::closed_by_client)] +
                stats.ended[static_cast<size_t>(Reason::closed_by_target)] +
                stats.ended[static_cast<size_t>(Reason::reset_by_client)],
            1u);
  const auto closed = relay.event(telemetry::EventType::connection_closed);
  EXPECT_STREQ(closed->text("route"), "web");
  EXPECT_EQ(closed->u64("bytes_out"), 4u);
}

TEST(RelayStats, RoutesThatStayKeepTheirCounts) {
  RawListener target;
  json web = route(to(target.port()));
  web["name"] = "web";
  RunningRelay relay(relay_config(web));
  {
    RawSocket client(relay.port());
    target.accept();
    relay.expect_relayed(1);
  }
  json other = route(to(target.port()));
  other["name"] = "other";
  json config = relay_config(json::array({other, web}));
  ASSERT_TRUE(relay.reconfigure(config).ok());
  const auto stats = *relay.relay->stats();
  EXPECT_EQ(stats.routes.at(0).counters.connections_total, 0u);
  EXPECT_EQ(stats.routes.at(1).counters.connections_total, 1u);
}

TEST(RelayStats, AConnectionIsEndedByItsId) {
  RawListener target;
  RunningRelay relay(relay_config(route(to(target.port()))));
  RawSocket client(relay.port());
  RawSocket server = target.accept();
  relay.expect_relayed(1);
  const uint64_t id = relay.relay->connections()->at(0).id;
  EXPECT_EQ(relay.relay->disconnect(id + 1).error().status, Status::NOT_FOUND);
  EXPECT_TRUE(relay.relay->disconnect(id).ok());
  client.read_to_end();
  EXPECT_EQ(client.ending(), Ending::reset);
  EXPECT_EQ(relay.closed(), "disconnected");
}

TEST(RelayThreads, ShareOnePortAndOneSetOfLimits) {
  RawListener target;
  json config = relay_config(route(to(target.port())), {}, {{"limits", {{"threads", 4}, {"connections_per_ip", 8}}}});
  RunningRelay relay(config);
  std::vector<RawSocket> clients, servers;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back(relay.port());
    servers.push_back(target.accept());
  }
  RawSocket one_more(relay.port());
  one_more.read_to_end();
  EXPECT_EQ(relay.rejected(), "too_many_connections");
  EXPECT_EQ(relay.relay->stats()->total.connections_open, 8u);
  json changed = config;
  changed["listen"].push_back(listener());
  ASSERT_TRUE(relay.reconfigure(changed).ok());
  clients[0].close();
  servers[0].read_to_end();
  while (relay.relay->connections()->size() == 8) ::usleep(1000);
  RawSocket again(relay.port(1));
  again.send("x");
  EXPECT_EQ(target.accept().read(1), "x");
}

}  // namespace
}  // namespace smartvpn::relay
