// Servers with several shards: whoever comes to whichever of them is served as by one. The kernel chooses the shard of
// a connection, so clients dial until they are where a test wants them.
#include <atomic>
#include <functional>
#include <set>
#include <thread>

#include "server/shard_ids.hpp"
#include "support/stranger.hpp"
#include "support/vpn_pair.hpp"

namespace smartvpn::testing_support {
namespace {

using telemetry::EventType;
using TunnelPtr = std::unique_ptr<tunnel::Tunnel>;

class Shards : public ::testing::TestWithParam<size_t> {
 protected:
  ServerSetup setup(const std::string& network = {}, const std::string& extra = {}) const {
    ServerSetup out;
    out.network = network;
    out.extra = R"(,"limits":{"threads":)" + std::to_string(GetParam()) + "}" + extra;
    return out;
  }
  size_t shard_of(uint64_t session) const { return server::ShardIds(0, GetParam()).shard_of(session); }
  static uint64_t session_with(RunningServer& server, const inet::IpAddress& address) {
    for (const auto& session : sessions_of(server))
      if (!session.addresses.empty() && session.addresses[0] == address) return session.id;
    return 0;
  }
  size_t shard_of(RunningServer& server, const tunnel::Tunnel& tunnel) const {
    return shard_of(session_with(server, address_v4(tunnel)));
  }
  // A connection of this client on that shard.
  TunnelPtr dial(RunningServer& server, const std::string& json, size_t shard) const {
    for (int i = 0; i < 200; ++i) {
      TunnelPtr tunnel = connect(client_config(json, "host", kNoReconnect));
      if (!tunnel || shard_of(server, *tunnel) == shard) return tunnel;
      const uint64_t there = session_with(server, address_v4(*tunnel));
      tunnel.reset();
      EXPECT_TRUE(eventually([&] { return !server.server->session(there); }));
    }
    ADD_FAILURE() << "the kernel has never chosen shard " << shard;
    return nullptr;
  }
  size_t last() const { return GetParam() - 1; }
};

bool passes(tunnel::Tunnel& from, tunnel::Tunnel& to, size_t payload = 56) {
  const Bytes packet = echo_request(address_v4(from), address_v4(to), payload);
  write_packet(from, packet);
  return read_packet(to) == packet;
}

TEST_P(Shards, EverybodyReachesTheEngineFromWhicheverShard) {
  RunningServer server{setup()};
  std::set<size_t> seen;
  std::vector<TunnelPtr> tunnels;
  for (size_t i = 0; i < GetParam(); ++i) {
    tunnels.push_back(dial(server, server.create_client("client" + std::to_string(i)), i));
    ASSERT_TRUE(tunnels.back());
    seen.insert(shard_of(server, *tunnels.back()));
  }
  EXPECT_EQ(seen.size(), GetParam());
  for (int round = 0; round < 3; ++round)
    for (auto& tunnel : tunnels) EXPECT_TRUE(hears_an_echo(*tunnel));
}

TEST_P(Shards, PacketsOfTheHostReachEveryShardAndComeBack) {
  ServerSetup with_host = setup();
  with_host.mode = "host";
  RunningServer server{with_host};
  const auto host = *inet::IpAddress::parse("10.8.0.1");
  for (size_t shard = 0; shard < GetParam(); ++shard) {
    auto tunnel = dial(server, server.create_client("client" + std::to_string(shard)), shard);
    ASSERT_TRUE(tunnel);
    const Bytes down = echo_request(host, address_v4(*tunnel)), up = echo_request(address_v4(*tunnel), host, 1200);
    forward::HostPacket meta;
    meta.length = static_cast<uint32_t>(down.size());
    ASSERT_TRUE(server.server->packets_write(down, {&meta, 1}));
    EXPECT_EQ(read_packet(*tunnel), down);
    write_packet(*tunnel, up);
    Bytes arena(70000);
    ASSERT_TRUE(server.server->packets_read(arena, {&meta, 1}, kWaitMs));
    EXPECT_EQ(meta.session_id, session_with(server, address_v4(*tunnel))) << "whoever asks, the id is the session's";
    EXPECT_EQ(Bytes(arena.begin() + meta.offset, arena.begin() + meta.offset + meta.length), up);
  }
}

TEST_P(Shards, ClientsMeetAcrossShardsAndTheirPacketsKeepTheirOrder) {
  RunningServer server{setup(R"(,"client_to_client":true)")};
  auto alice = dial(server, server.create_client("alice"), 0);
  auto bob = dial(server, server.create_client("bob"), last());
  ASSERT_TRUE(alice && bob);
  EXPECT_TRUE(passes(*alice, *bob)) << "as soon as the session stands";
  EXPECT_TRUE(passes(*bob, *alice, 1300));
  constexpr size_t kPackets = 100;
  for (size_t i = 0; i < kPackets; ++i) write_packet(*alice, echo_request(address_v4(*alice), address_v4(*bob), i));
  for (size_t i = 0; i < kPackets; ++i) ASSERT_EQ(read_packet(*bob).size(), 28 + i);
}

TEST_P(Shards, ANewerSessionElsewhereReplacesTheOlderOne) {
  RunningServer server{setup(R"(,"client_to_client":true)")};
  const std::string json = server.create_client("alice");
  auto bob = dial(server, server.create_client("bob"), 0);
  auto older = dial(server, json, 0);
  ASSERT_TRUE(bob && older);
  // One that comes to the shard of the older is the older one from then on.
  TunnelPtr newer;
  uint64_t before = 0;
  for (int i = 0; i < 200 && !newer; ++i) {
    before = session_with(server, address_v4(*older));
    TunnelPtr next = connect(client_config(json, "host", kNoReconnect));
    ASSERT_TRUE(next);
    ASSERT_TRUE(eventually([&] { return sessions_of(server).size() == 2; })) << "the older one has to go";
    (shard_of(server, *next) == last() ? newer : older) = std::move(next);
  }
  ASSERT_TRUE(newer);
  EXPECT_TRUE(eventually([&] { return older->state() != tunnel::State::connected; }));
  EXPECT_EQ(older->info().last_reason, Reason::replaced);
  EXPECT_FALSE(server.server->session(before));
  EXPECT_EQ(address_v4(*newer), address_v4(*older)) << "the address has moved";
  EXPECT_TRUE(passes(*bob, *newer));
  EXPECT_TRUE(passes(*newer, *bob));
  EXPECT_TRUE(eventually([&] { return server.server->sessions()->size() == 2; }));
}

TEST_P(Shards, AChangeOfTheRegistryHasActedEverywhereWhenItReturns) {
  RunningServer server{setup()};
  const auto both = [&](const std::string& json) {
    std::vector<TunnelPtr> out;
    out.push_back(dial(server, json, 0));
    out.push_back(dial(server, json, last()));
    return out;
  };
  const std::string json = server.create_client("alice", 4);
  auto tunnels = both(json);
  ASSERT_TRUE(tunnels[0] && tunnels[1]);
  ASSERT_EQ(server.server->sessions()->size(), 2u);
  ASSERT_TRUE(server.server->client_update("alice", R"({"max_sessions":1})", 0));
  ASSERT_EQ(server.server->sessions()->size(), 1u);
  EXPECT_EQ(session_with(server, address_v4(*tunnels[1])), server.server->sessions()->at(0).id) << "the newest stays";
  ASSERT_TRUE(server.server->client_update("alice", R"({"max_sessions":4})", 0));
  tunnels[0] = dial(server, json, 0);
  ASSERT_EQ(server.server->sessions()->size(), 2u);
  ASSERT_TRUE(server.server->client_set_enabled("alice", false));
  EXPECT_TRUE(server.server->sessions()->empty());
  ASSERT_TRUE(server.server->client_set_enabled("alice", true));
  tunnels = both(json);
  registry::RotateOptions at_once;
  at_once.overlap_seconds = 0;
  ASSERT_TRUE(server.server->client_rotate("alice", at_once));
  EXPECT_EQ(server.server->sessions()->size(), 0u) << "without an overlap the old key is gone";
  EXPECT_TRUE(server.server->client_remove("alice"));
}

TEST_P(Shards, CommandsFindTheSessionAndFiguresAddUp) {
  RunningServer server{setup({}, R"(,"telemetry":{"client_label":true})")};
  const std::string json = server.create_client("alice", 8);
  std::vector<TunnelPtr> tunnels;
  for (size_t shard = 0; shard < GetParam(); ++shard) {
    tunnels.push_back(dial(server, json, shard));
    ASSERT_TRUE(tunnels.back() && hears_an_echo(*tunnels.back()));
  }
  const auto sessions = *server.server->sessions();
  ASSERT_EQ(sessions.size(), GetParam());
  for (const auto& session : sessions) EXPECT_EQ(server.server->session(session.id)->addresses, session.addresses);
  EXPECT_EQ(server.server->session(UINT64_MAX).error().status, Status::NOT_FOUND);
  const auto stats = *server.server->stats();
  EXPECT_EQ(stats.total.sessions_now, GetParam());
  EXPECT_EQ(stats.total.connections_open, GetParam());
  EXPECT_EQ(stats.listeners.at(0).stats.sessions_now, GetParam());
  EXPECT_GE(stats.total.traffic.inner_packets_in, GetParam());
  ASSERT_EQ(stats.by_client.size(), 1u);
  EXPECT_EQ(stats.by_client[0].sessions_now, GetParam());
  const auto alice = *server.server->client_stats("alice");
  EXPECT_EQ(alice.sessions_now, GetParam());
  EXPECT_EQ(alice.sessions_total, stats.total.sessions_total);
  EXPECT_EQ(alice.traffic.inner_packets_in, stats.total.traffic.inner_packets_in);
  for (const auto& session : sessions) EXPECT_TRUE(server.server->disconnect(session.id, Reason::disconnected));
  EXPECT_TRUE(eventually([&] { return server.server->sessions()->empty(); }));
  EXPECT_EQ(server.server->client_stats("alice")->traffic.inner_packets_in, alice.traffic.inner_packets_in);
}

TEST_P(Shards, AChangedConfigurationHoldsOnEveryShard) {
  ServerSetup open = setup(R"(,"client_to_client":true)");
  RunningServer server{open};
  auto alice = dial(server, server.create_client("alice"), 0);
  auto bob = dial(server, server.create_client("bob"), last());
  ASSERT_TRUE(alice && bob && passes(*alice, *bob));
  open.network.clear();
  ASSERT_TRUE(server.server->reconfigure(*config::parse_server_config(open.json()), {{"/network", "applied"}}));
  write_packet(*alice, echo_request(address_v4(*alice), address_v4(*bob)));
  write_packet(*bob, echo_request(address_v4(*bob), address_v4(*alice)));
  EXPECT_TRUE(hears_an_echo(*alice)) << "the first to arrive is the server's answer";
  EXPECT_TRUE(hears_an_echo(*bob));
  EXPECT_TRUE(read_packet(*bob, 0).empty());
  open.extra += R"(,"security":{"connection_ip_block_list":["127.0.0.1"]})";
  ASSERT_TRUE(server.server->reconfigure(*config::parse_server_config(open.json()), {{"/security", "applied"}}));
  EXPECT_TRUE(server.server->sessions()->empty());
  int told = 0;
  while (auto event = server.events->next(0)) told += (*event)->type() == EventType::reconfigured;
  EXPECT_EQ(told, 2) << "once each, not once a shard";
}

TEST_P(Shards, LimitsCountAllShardsTogether) {
  RunningServer server{setup({}, R"(,"security":{"max_connections_per_ip":3})")};
  const std::string json = server.create_client("alice", 64);
  std::vector<TunnelPtr> in;
  int refused = 0;
  for (int i = 0; i < 9; ++i) {
    auto tunnel = make_tunnel(client_config(json, "host", kNoReconnect));
    ASSERT_TRUE(tunnel->start());
    if (tunnel->wait_connected(kWaitMs))
      in.push_back(std::move(tunnel));
    else
      ++refused;
  }
  EXPECT_EQ(in.size(), 3u);
  EXPECT_EQ(refused, 6);
}

TEST_P(Shards, SessionsOfALimitedClientShareTheLimit) {
  RunningServer server{setup(R"(,"client_to_client":true)")};
  const std::string json = server.create_client("alice", 2);
  ASSERT_TRUE(server.server->client_update(
      "alice", R"({"security":{"rate_limit":{"from_client_bytes_per_second":1000,"from_client_burst_bytes":65536}}})",
      0));
  auto here = dial(server, json, 0), there = dial(server, json, last());
  ASSERT_TRUE(here && there);
  // More than the burst on one shard, and the other one's has nothing left for a minute.
  for (int i = 0; i < 60; ++i)
    write_packet(*here, echo_request(address_v4(*here), *inet::IpAddress::parse("10.8.0.1"), 1300));
  const uint64_t id = session_with(server, address_v4(*here));
  ASSERT_TRUE(eventually([&] { return server.server->session(id)->counters.inner_bytes_in >= 60000; }));
  write_packet(*there, echo_request(address_v4(*there), *inet::IpAddress::parse("10.8.0.1"), 1300));
  EXPECT_TRUE(read_packet(*there, 300).empty()) << "it waits for what the other one has spent";
}

TEST_P(Shards, TheHostIsAskedAboutConnectionsOfAllShards) {
  RunningServer server{setup({}, R"(,"security":{"authorize":"required"})")};
  std::atomic<bool> over{false};
  std::thread host([&] {
    while (!over) {
      auto request = server.server->authorize_next(50);
      if (!request) continue;
      server::Authorizer::Answer answer;
      answer.allow = (*request)->client_id != "mallory";
      EXPECT_TRUE(server.server->authorize_answer((*request)->token, answer));
    }
  });
  for (size_t shard = 0; shard < GetParam(); ++shard) {
    auto tunnel = dial(server, server.create_client("client" + std::to_string(shard)), shard);
    EXPECT_TRUE(tunnel && hears_an_echo(*tunnel));
  }
  const std::string denied = server.create_client("mallory");
  for (int i = 0; i < 6; ++i) {
    auto tunnel = make_tunnel(client_config(denied, "host", kNoReconnect));
    ASSERT_TRUE(tunnel->start());
    EXPECT_FALSE(tunnel->wait_connected(kWaitMs));
    EXPECT_EQ(tunnel->info().last_reason, Reason::authorize_denied);
  }
  over = true;
  host.join();
}

TEST_P(Shards, AStopEndsTheSessionsOfAllShardsAndWaitsForIt) {
  RunningServer server{setup()};
  std::vector<TunnelPtr> tunnels;
  for (size_t shard = 0; shard < GetParam(); ++shard)
    tunnels.push_back(dial(server, server.create_client("client" + std::to_string(shard)), shard));
  const auto live = server.server->sessions()->size();
  ASSERT_EQ(live, GetParam());
  // A drain lasts as long as somebody is there, on whichever shard.
  EXPECT_EQ(server.server->stop(60000, 0).error().status, Status::AGAIN);
  for (size_t shard = 0; shard + 1 < GetParam(); ++shard) tunnels[shard].reset();
  ASSERT_TRUE(eventually([&] { return server.server->sessions()->size() == 1; }));
  EXPECT_TRUE(hears_an_echo(*tunnels.back())) << "by way of a shard that has nobody left";
  EXPECT_TRUE(server.server->stop(0, kWaitMs));
  EXPECT_EQ(server.server->state(), server::State::stopped);
  EXPECT_EQ(server.server->sessions().error().status, Status::BAD_STATE);
  size_t ends = 0;
  while (auto event = server.events->next(0))
    ends += (*event)->type() == EventType::session_down && (*event)->text("reason") == std::string("server_stopping");
  EXPECT_EQ(ends, 1u);
}

TEST_P(Shards, APortThatSomebodyHasIsRefusedAndNothingIsLeftOfTheStart) {
  RunningServer server{setup()};
  const std::string taken = std::to_string(server.port());
  for (size_t threads : {size_t{1}, GetParam()}) {
    ServerSetup second;
    second.listen = R"({"transport":"websocket","address":"127.0.0.1","port":0},)"
                    R"({"transport":"websocket","address":"127.0.0.1","port":)" +
                    taken + "}";
    second.extra = R"(,"limits":{"threads":)" + std::to_string(threads) + "}";
    auto other = *server::Server::create(*config::parse_server_config(second.json()));
    auto started = other->start();
    ASSERT_FALSE(started) << "it must not join another server's port";
    EXPECT_EQ(started.error().system_errno, EADDRINUSE);
    EXPECT_EQ(started.error().path, "/listen/1");
    EXPECT_EQ(other->state(), server::State::stopped);
  }
}

// Everything at once; under ThreadSanitizer this is what looks for races.
TEST_P(Shards, TrafficAndChangesOfAllKindsGoOnSideBySide) {
  ServerSetup open = setup(R"(,"client_to_client":true)");
  RunningServer server{open};
  auto alice = dial(server, server.create_client("alice"), 0);
  auto bob = dial(server, server.create_client("bob"), last());
  const std::string restless = server.create_client("carol", 2);
  ASSERT_TRUE(server.server->client_update(
      "bob", R"({"security":{"rate_limit":{"to_client_bytes_per_second":100000000}}})", 0));
  ASSERT_TRUE(alice && bob);
  std::atomic<bool> over{false};
  std::atomic<int> lost{0}, rounds{0};
  std::thread traffic([&] {
    for (; !over; ++rounds) {
      lost += passes(*alice, *bob) ? 0 : 1;
      lost += passes(*bob, *alice, 1300) ? 0 : 1;
      lost += hears_an_echo(*bob) ? 0 : 1;
    }
  });
  std::thread guests([&] {
    while (!over) {
      auto carol = connect(client_config(restless, "host"));
      auto again = connect(client_config(restless, "host"));
      if (carol) (void)hears_an_echo(*again);
    }
  });
  std::thread reader([&] {
    while (!over) {
      EXPECT_TRUE(server.server->stats());
      EXPECT_TRUE(server.server->client_stats("carol"));
      EXPECT_GE(server.server->sessions()->size(), 2u);
    }
  });
  for (int i = 0; i < 15 || rounds < 20; ++i) {
    open.network = i % 2 == 0 ? R"(,"client_to_client":true,"dns":["10.8.0.1"])" : R"(,"client_to_client":true)";
    EXPECT_TRUE(server.server->reconfigure(*config::parse_server_config(open.json()), {{"/network/dns", "applied"}}));
    EXPECT_TRUE(server.server->client_update("carol", R"({"max_sessions":)" + std::to_string(1 + i % 2) + "}", 0));
    EXPECT_TRUE(
        server.server->client_update("alice", R"({"subnets":["192.168.)" + std::to_string(i % 200) + R"(.0/24"]})", 0));
  }
  over = true;
  traffic.join();
  guests.join();
  reader.join();
  EXPECT_EQ(lost, 0);
}

INSTANTIATE_TEST_SUITE_P(Threads, Shards, ::testing::Values(size_t{2}, size_t{3}),
                         [](const auto& threads) { return std::to_string(threads.param); });

}  // namespace
}  // namespace smartvpn::testing_support
