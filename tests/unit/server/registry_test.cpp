// The registry of a running server: what changes do to live sessions before the call returns, rotation,
// transactions, and what several threads do at once.
#include <algorithm>
#include <atomic>
#include <thread>

#include "base/features.hpp"
#include "support/temporary_folder.hpp"
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

using server::ClientChange;
using telemetry::EventType;

std::string from(const std::string& source, const std::string& destination = "203.0.113.1:443") {
  return R"(,"proxy_protocol":{"send":"v2","source":")" + source + R"(","destination":")" + destination + "\"}" +
         kNoReconnect;
}

std::string outcome(const Result<void>& result) {
  if (result) return "OK";
  return std::string(status_name(static_cast<int32_t>(result.error().status))) + " " + result.error().path;
}

class LiveRegistry : public ::testing::Test {
 protected:
  explicit LiveRegistry(ServerSetup setup = proxied()) : server_(setup) {}
  static ServerSetup proxied() {
    ServerSetup setup;
    setup.listen = proxied_listener("v2");
    setup.mode = "host";
    return setup;
  }
  server::Server& face() { return *server_.server; }
  std::string update(const std::string& id, const std::string& patch, uint64_t revision = 0) {
    return outcome(face().client_update(id, patch, revision));
  }
  size_t live(const std::string& id) {
    size_t count = 0;
    for (const auto& session : sessions_of(server_)) count += session.client_id == id;
    return count;
  }
  std::string last_end() {
    auto event = server_.wait(EventType::session_down);
    return event ? event->text("reason") : "none";
  }
  // Changes of clients told so far and not read, as "id change revision".
  std::string next_change() {
    auto event = server_.wait(EventType::client_changed);
    if (!event) return "none";
    return std::string(event->text("client_id")) + " " + event->text("change") + " " +
           std::to_string(event->u64("revision").value_or(0));
  }
  std::unique_ptr<tunnel::Tunnel> dial(const std::string& json, const std::string& how = from("198.51.100.7:1")) {
    return connect(client_config(json, "host", how));
  }
  RunningServer server_;
};

TEST_F(LiveRegistry, NarrowingCutsBeforeTheCallReturns) {
  const std::string v6 = from("[2001:db8:1::7]:1", "[2001:db8::443]:443");
  struct Case {
    const char* patch;
    bool v6;
    const char* reason;
  };
  const std::string past = std::to_string(wall_clock_ms() - 1000);
  const std::string expired = "{\"expires_at\":" + past + "}";
  const Case cases[] = {
      {R"({"enabled":false})", false, "client_disabled"},
      {expired.c_str(), true, "client_expired"},
      {R"({"security":{"ip_block_list":["198.51.100.0/24"]}})", false, "client_ip_block_list"},
      {R"({"security":{"ip_block_list":["2001:db8:1::/48"]}})", true, "client_ip_block_list"},
      {R"({"security":{"ip_allow_list":["192.0.2.0/24"]}})", false, "client_ip_not_allowed"},
      {R"({"security":{"ip_allow_list":["2001:db8:2::/48"]}})", true, "client_ip_not_allowed"},
      {R"({"transports":["quic"]})", false, "transport_not_allowed"},
      {R"({"addresses":["10.8.0.99"]})", false, "disconnected"},
      {R"({"addresses":["fd00:8::99"]})", true, "disconnected"},
      {R"({"noise_public_key":"AgIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="})", false, "unknown_client"},
  };
  int number = 0;
  for (const auto& c : cases) {
    const std::string id = "c" + std::to_string(number++);
    auto tunnel = dial(server_.create_client(id), c.v6 ? v6 : from("198.51.100.7:1"));
    ASSERT_EQ(live(id), 1u);
    EXPECT_EQ(update(id, c.patch), "OK") << c.patch;
    EXPECT_EQ(live(id), 0u) << c.patch;
    EXPECT_EQ(last_end(), c.reason) << c.patch;
    ASSERT_TRUE(face().client_remove(id));
  }
}

TEST_F(LiveRegistry, WhatDoesNotNarrowEndsNothing) {
  auto tunnel = dial(server_.create_client("alice"));
  const std::string own = address_v4(*tunnel).text();
  for (const std::string& patch :
       {std::string(R"({"description":"x","tags":["t"],"priority":1})"),
        std::string(R"({"security":{"ip_allow_list":["198.51.100.0/24"]}})"),
        std::string(R"({"security":{"ip_block_list":["198.51.100.8"]}})"),
        std::string(R"({"transports":["websocket"]})"),
        "{\"expires_at\":" + std::to_string(wall_clock_ms() + 3600000) + "}",
        std::string(R"({"security":{"rate_limit":{"to_client_bytes_per_second":1000000}}})"),
        R"({"addresses":[")" + own + "\"]}", std::string(R"({"subnets":["192.168.7.0/24"]})")}) {
    EXPECT_EQ(update("alice", patch), "OK") << patch;
    EXPECT_EQ(live("alice"), 1u) << patch;
  }
  EXPECT_EQ(update("alice", R"({"addresses":null})"), "OK");
  EXPECT_EQ(live("alice"), 0u) << "an address that is no longer its own";
}

TEST_F(LiveRegistry, FewerSessionsEndTheOldest) {
  const std::string json = server_.create_client("alice", 3);
  auto first = dial(json), second = dial(json), third = dial(json);
  ASSERT_EQ(live("alice"), 3u);
  EXPECT_EQ(update("alice", R"({"max_sessions":1})"), "OK");
  auto left = sessions_of(server_);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].addresses.at(0), address_v4(*third));
  EXPECT_EQ(last_end(), "replaced");
}

TEST_F(LiveRegistry, AnExpiryThatIsMovedForwardIsKeptByLiveSessions) {
  auto tunnel = dial(server_.create_client("alice"));
  EXPECT_EQ(update("alice", "{\"expires_at\":" + std::to_string(wall_clock_ms() + 800) + "}"), "OK");
  EXPECT_EQ(live("alice"), 1u);
  EXPECT_EQ(last_end(), "client_expired");
}

TEST_F(LiveRegistry, RefuseNewKeepsTheSessionThatIsThere) {
  const std::string json = server_.create_client("alice");
  EXPECT_EQ(update("alice", R"({"session_policy":"refuse-new"})"), "OK");
  auto first = dial(json);
  auto second = make_tunnel(client_config(json, "host", from("198.51.100.8:1")));
  ASSERT_TRUE(second->start());
  EXPECT_FALSE(second->wait_connected(kWaitMs));
  EXPECT_EQ(second->info().last_reason, Reason::too_many_sessions);
  EXPECT_EQ(live("alice"), 1u);
  EXPECT_EQ(rejections(server_, Reason::too_many_sessions), 1u);
  ASSERT_TRUE(first->stop(kWaitMs));
  ASSERT_TRUE(eventually([&] { return live("alice") == 0; }));
  auto third = dial(json);
  EXPECT_EQ(live("alice"), 1u);
}

TEST_F(LiveRegistry, ATransportThatIsNotAllowedIsRefusedByName) {
  const std::string json = server_.create_client("alice");
  EXPECT_EQ(update("alice", R"({"transports":["quic","wireguard"]})"), "OK");
  auto tunnel = make_tunnel(client_config(json, "host", from("198.51.100.8:1")));
  ASSERT_TRUE(tunnel->start());
  EXPECT_FALSE(tunnel->wait_connected(kWaitMs));
  EXPECT_EQ(rejections(server_, Reason::transport_not_allowed), 1u);
}

Bytes packet_between(const std::string& from, const std::string& to) {
  return echo_request(*inet::IpAddress::parse(from), *inet::IpAddress::parse(to));
}

// An IPv6 packet without extension headers: an echo request.
Bytes packet6_between(const std::string& from, const std::string& to) {
  Bytes out(48);
  out[0] = 0x60;
  out[5] = 8;
  out[6] = 58;
  out[7] = 64;
  auto copy = [&](const std::string& text, size_t at) {
    auto ip = *inet::IpAddress::parse(text);
    std::copy(ip.bytes().begin(), ip.bytes().end(), out.begin() + static_cast<ptrdiff_t>(at));
  };
  copy(from, 8);
  copy(to, 24);
  out[40] = 128;
  return out;
}

class RoutedSubnets : public LiveRegistry {
 protected:
  // What the server's host reads next, with a bounded wait.
  Bytes at_host(int32_t timeout_ms = kWaitMs) {
    Bytes arena(70000);
    forward::HostPacket meta;
    auto count = face().packets_read(arena, {&meta, 1}, timeout_ms);
    if (!count) return {};
    return Bytes(arena.begin(), arena.begin() + static_cast<ptrdiff_t>(meta.length));
  }
  void from_host(const Bytes& packet) {
    forward::HostPacket meta;
    meta.length = static_cast<uint32_t>(packet.size());
    ASSERT_TRUE(face().packets_write(packet, {&meta, 1}));
  }
  uint64_t drops(Drop drop) {
    uint64_t count = face().stats()->total.traffic.drops[static_cast<size_t>(drop)];
    return count;
  }
};

TEST_F(RoutedSubnets, AreRoutedToTheLiveSessionAndMayBeSentFromInBothFamilies) {
  auto tunnel = dial(server_.create_client("site"));
  const Bytes out4 = packet_between("192.168.7.7", "192.0.2.1"), in4 = packet_between("192.0.2.1", "192.168.7.7");
  const Bytes out6 = packet6_between("fd77::7", "2001:db8::1"), in6 = packet6_between("2001:db8::1", "fd77::7");
  write_packet(*tunnel, out4);
  EXPECT_TRUE(eventually([&] { return drops(Drop::spoofed_source) == 1; }));
  from_host(in4);
  EXPECT_TRUE(eventually([&] { return drops(Drop::no_route) == 1; }));

  EXPECT_EQ(update("site", R"({"subnets":["192.168.7.0/24","fd77::/48"]})"), "OK");
  for (const Bytes& packet : {out4, out6}) {
    write_packet(*tunnel, packet);
    EXPECT_EQ(at_host(), packet);
  }
  for (const Bytes& packet : {in4, in6}) {
    from_host(packet);
    EXPECT_EQ(read_packet(*tunnel), packet);
  }
  EXPECT_EQ(update("site", R"({"subnets":["fd77::/48"]})"), "OK");
  write_packet(*tunnel, out4);
  EXPECT_TRUE(eventually([&] { return drops(Drop::spoofed_source) == 2; }));
  from_host(in4);
  EXPECT_TRUE(eventually([&] { return drops(Drop::no_route) == 2; }));
  from_host(in6);
  EXPECT_EQ(read_packet(*tunnel), in6);
  EXPECT_EQ(live("site"), 1u);
}

TEST_F(RoutedSubnets, GoWithTheClientAndComeWithItsNextSession) {
  registry::ClientSpec spec;
  spec.id = "site";
  spec.subnets = {*inet::Cidr::parse("192.168.7.0/24")};
  const std::string json = server_.create_client(spec);
  const Bytes in = packet_between("192.0.2.1", "192.168.7.7");
  from_host(in);
  EXPECT_TRUE(eventually([&] { return drops(Drop::no_route) == 1; })) << "registered, not live";
  auto first = dial(json);
  auto second = dial(json, from("198.51.100.8:1"));  // takes them over
  EXPECT_EQ(last_end(), "replaced");
  from_host(in);
  EXPECT_EQ(read_packet(*second), in);
  ASSERT_TRUE(face().client_remove("site"));
  from_host(in);
  EXPECT_TRUE(eventually([&] { return drops(Drop::no_route) == 2; }));
}

TEST_F(RoutedSubnets, OfAnotherClientAreNotReachedUnlessClientsMeet) {
  registry::ClientSpec site;
  site.id = "site";
  site.subnets = {*inet::Cidr::parse("192.168.7.0/24")};
  server_.create_client(site);
  auto tunnel = dial(server_.create_client("alice"));
  write_packet(*tunnel, packet_between(address_v4(*tunnel).text(), "192.168.7.7"));
  EXPECT_TRUE(eventually([&] { return drops(Drop::client_to_client) == 1; }));
  write_packet(*tunnel, packet_between("192.168.7.9", "192.0.2.1"));
  EXPECT_TRUE(eventually([&] { return drops(Drop::spoofed_source) == 1; }));
}

class LiveRotation : public LiveRegistry {
 protected:
  std::string rotate(uint32_t overlap_seconds) {
    registry::RotateOptions options;
    options.overlap_seconds = overlap_seconds;
    auto made = face().client_rotate("alice", options);
    EXPECT_TRUE(made) << made.error().text;
    return made ? made->config_json : "";
  }
  std::string refusal(const std::string& json) {
    auto tunnel = make_tunnel(client_config(json, "host", from("198.51.100.9:1")));
    if (!tunnel->start()) return "not started";
    if (tunnel->wait_connected(kWaitMs)) return "";
    auto event = server_.wait(EventType::connection_rejected);
    return event ? event->text("reason") : "no event";
  }
};

TEST_F(LiveRotation, BothKeysConnectDuringTheOverlapAndTheFirstNewOneIsTold) {
  const std::string old_json = server_.create_client("alice", 2);
  auto before = dial(old_json);
  const std::string new_json = rotate(3600);
  EXPECT_EQ(live("alice"), 1u) << "gently";
  EXPECT_EQ(next_change(), "alice created 1");
  EXPECT_EQ(next_change(), "alice rotated 2");
  EXPECT_FALSE(face().client_get("alice")->rotation->seen);
  auto with_new = dial(new_json);
  EXPECT_EQ(next_change(), "alice rotation_seen 2");
  EXPECT_TRUE(face().client_get("alice")->rotation->seen);
  EXPECT_EQ(refusal(old_json), "") << "a new session on the old key";
  EXPECT_EQ(outcome(face().client_rotate("alice", {}).ok() ? Result<void>()
                                                           : Result<void>(make_error(Status::BAD_STATE, ""))),
            "BAD_STATE ");
}

TEST_F(LiveRotation, CommitEndsTheOldKeysSessionsAtOnce) {
  const std::string old_json = server_.create_client("alice", 2);
  auto before = dial(old_json);
  const std::string new_json = rotate(3600);
  auto after = dial(new_json);
  ASSERT_EQ(live("alice"), 2u);
  ASSERT_TRUE(face().client_rotate_commit("alice"));
  auto left = sessions_of(server_);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].addresses.at(0), address_v4(*after));
  EXPECT_EQ(last_end(), "unknown_client");
  EXPECT_EQ(refusal(old_json), "unknown_client");
  EXPECT_EQ(face().client_rotate_commit("alice").error().status, Status::BAD_STATE);
}

TEST_F(LiveRotation, RollBackEndsTheNewKeysSessionsAtOnce) {
  const std::string old_json = server_.create_client("alice", 2);
  auto before = dial(old_json);
  const std::string new_json = rotate(3600);
  auto after = dial(new_json);
  ASSERT_TRUE(face().client_rotate_roll_back("alice"));
  auto left = sessions_of(server_);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].addresses.at(0), address_v4(*before));
  EXPECT_EQ(refusal(new_json), "unknown_client");
  EXPECT_EQ(face().client_rotate_roll_back("alice").error().status, Status::BAD_STATE);
}

TEST_F(LiveRotation, AnOverlapEndsByItself) {
  const std::string old_json = server_.create_client("alice", 2);
  auto before = dial(old_json);
  const std::string new_json = rotate(1);
  EXPECT_EQ(next_change(), "alice created 1");
  EXPECT_EQ(next_change(), "alice rotated 2");
  EXPECT_EQ(next_change(), "alice rotation_expired 2");
  EXPECT_EQ(last_end(), "unknown_client");
  EXPECT_EQ(refusal(old_json), "unknown_client");
  EXPECT_EQ(refusal(new_json), "");
  EXPECT_FALSE(face().client_get("alice")->rotation);
}

TEST_F(LiveRotation, WithoutOverlapTheOldKeyIsGoneAtOnce) {
  auto before = dial(server_.create_client("alice"));
  const std::string new_json = rotate(0);
  EXPECT_EQ(live("alice"), 0u);
  EXPECT_EQ(refusal(new_json), "");
}

ClientChange creation(const std::string& id) {
  ClientChange change(ClientChange::Kind::create);
  change.spec.id = id;
  return change;
}
ClientChange patching(const std::string& id, const std::string& patch) {
  ClientChange change(ClientChange::Kind::update, id);
  change.patch = patch;
  return change;
}

TEST_F(LiveRegistry, ATransactionActsAsOneAndOnLiveSessions) {
  auto alice = dial(server_.create_client("alice"));
  auto bob = dial(server_.create_client("bob"));
  const uint64_t base = *face().registry_revision();
  auto failed = face().transact({creation("carol"), patching("alice", R"({"enabled":false})"), patching("nobody", "{}"),
                                 ClientChange(ClientChange::Kind::remove, "bob")},
                                0);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().status, Status::NOT_FOUND);
  EXPECT_EQ(failed.error().path, "/2");
  failed = face().transact(
      {patching("alice", R"({"enabled":false})"), patching("bob", R"({"subnets":["10.8.0.0/16"]})")}, 0);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().path, "/1/subnets/0");
  EXPECT_EQ(live("alice") + live("bob"), 2u);
  EXPECT_EQ(*face().registry_revision(), base);

  std::vector<ClientChange> changes = {creation("carol"), patching("carol", R"({"description":"x"})"),
                                       patching("alice", R"({"enabled":false})"),
                                       ClientChange(ClientChange::Kind::remove, "bob")};
  EXPECT_EQ(face().transact(changes, base + 1).error().status, Status::CONFLICT);
  auto done = face().transact(changes, base);
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(done->revision, base + 4);
  EXPECT_EQ(live("alice") + live("bob"), 0u);
  EXPECT_EQ(face().client_get("carol")->description, "x");
  EXPECT_EQ(face().client_get("carol")->revision, base + 2);
  ASSERT_TRUE(done->made.at(0));
  EXPECT_FALSE(done->made.at(1) || done->made.at(2) || done->made.at(3));
  auto carol = dial(done->made[0]->config_json);
  EXPECT_EQ(live("carol"), 1u);
}

TEST_F(LiveRegistry, UpdatesCanBeConditional) {
  server_.create_client("alice");
  EXPECT_EQ(update("alice", R"({"description":"1"})", 1), "OK");
  EXPECT_EQ(update("alice", R"({"description":"2"})", 1), "CONFLICT ");
  EXPECT_EQ(update("alice", R"({"description":"1"})"), "OK");
  EXPECT_EQ(*face().registry_revision(), 2u) << "no change is none";
  EXPECT_EQ(update("bob", "{}"), "NOT_FOUND ");
  EXPECT_EQ(update("alice", R"({"id":"bob"})"), "INVALID /id");
  EXPECT_EQ(update("alice", R"({"security":{"ip_block_list":["300.0.0.1"]}})"), "INVALID /security/ip_block_list/0");
}

TEST_F(LiveRegistry, ARecreatedClientIsAnotherOne) {
  auto tunnel = dial(server_.create_client("alice"));
  const PublicKey key = face().client_get("alice")->noise_public_key;
  ClientChange again = creation("alice");
  again.spec.noise_public_key = key;
  ASSERT_TRUE(face().transact({ClientChange(ClientChange::Kind::remove, "alice"), again}, 0));
  EXPECT_EQ(live("alice"), 0u);
  EXPECT_EQ(last_end(), "client_removed");
}

TEST_F(LiveRegistry, PagesOfClients) {
  for (const char* id : {"b-2", "a-1", "b-1", "c-1"}) server_.create_client(id);
  EXPECT_EQ(update("b-1", R"({"tags":["Staff"],"description":"Bob's PHONE"})"), "OK");
  EXPECT_EQ(update("c-1", R"({"enabled":false})"), "OK");
  auto tunnel = dial(server_.create_client("d-1"));
  auto page = [&](const std::string& query) {
    auto got = face().client_query(*config::parse_client_query(query));
    std::string out;
    for (const auto& client : got->clients) out += client->id + " ";
    return out + std::to_string(got->matches) + (got->next.empty() ? "" : " next " + got->next);
  };
  EXPECT_EQ(page("{}"), "a-1 b-1 b-2 c-1 d-1 5");
  EXPECT_EQ(page(R"({"limit":2})"), "a-1 b-1 5 next b-1");
  EXPECT_EQ(page(R"({"limit":2,"after":"b-1"})"), "b-2 c-1 5 next c-1");
  EXPECT_EQ(page(R"({"limit":2,"after":"c-1"})"), "d-1 5");
  EXPECT_EQ(page(R"({"id_prefix":"b-"})"), "b-1 b-2 2");
  EXPECT_EQ(page(R"({"tag":"Staff"})"), "b-1 1");
  EXPECT_EQ(page(R"({"tag":"staff"})"), "0");
  EXPECT_EQ(page(R"({"text":"phone"})"), "b-1 1");
  EXPECT_EQ(page(R"({"text":"STAFF"})"), "b-1 1");
  EXPECT_EQ(page(R"({"text":"-2"})"), "b-2 1");
  EXPECT_EQ(page(R"({"enabled":false})"), "c-1 1");
  EXPECT_EQ(page(R"({"online":true})"), "d-1 1");
  EXPECT_EQ(page(R"({"online":false,"enabled":true})"), "a-1 b-1 b-2 3");
}

TEST_F(LiveRegistry, ThreadsThatChangeTheSameClientsLoseNothing) {
  constexpr int kThreads = 4, kRounds = 25;
  server_.create_client("shared");
  auto tunnel = dial(server_.create_client("busy"));
  std::atomic<int> created{0}, conflicts{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        const std::string id = "t" + std::to_string(t) + "-" + std::to_string(i);
        registry::ClientSpec spec;
        spec.id = id;
        created += face().client_create(spec).ok();
        const uint64_t seen = face().client_get("shared")->revision;
        conflicts += !face().client_update("shared", R"({"description":")" + id + "\"}", seen).ok();
        EXPECT_TRUE(face().client_update("busy", R"({"tags":[")" + id + "\"]}", 0));
        EXPECT_TRUE(face().client_query({}));
        if (i % 2 == 0) {
          EXPECT_TRUE(face().client_remove(id));
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(created, kThreads * kRounds);
  const uint64_t removed = kThreads * ((kRounds + 1) / 2), updated = kThreads * kRounds * 2 - conflicts;
  EXPECT_EQ(*face().registry_revision(), 2 + kThreads * kRounds + removed + updated);
  EXPECT_EQ(face().client_list()->size(), 2 + kThreads * kRounds - removed);
  EXPECT_EQ(live("busy"), 1u);
}

TEST_F(LiveRegistry, ChangesWhileTheServerStopsHaveAnAnswer) {
  std::vector<std::thread> threads;
  std::atomic<bool> over{false};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100000 && !over; ++i) {
        registry::ClientSpec spec;
        spec.id = "t" + std::to_string(t) + "-" + std::to_string(i);
        auto made = face().client_create(spec);
        if (!made) {
          EXPECT_EQ(made.error().status, Status::BAD_STATE);
          return;
        }
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ASSERT_TRUE(face().stop(0, kWaitMs));
  over = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(face().client_remove("t0-0").error().status, Status::BAD_STATE);
}

TEST(RegistryOfAServer, MakesWireguardCredentialsWhereTheServerHasAKey) {
  auto wireguard = crypto::generate_key_pair(system_rng());
  ServerSetup setup;
  setup.extra = R"(,"registry":{"keep_private_keys":true})";
  setup.network = R"(,"wireguard_endpoint":"vpn.example.com:51820","dns":["10.8.0.1"])";
  std::string json = setup.json();
  json.insert(json.find(R"("noise_private_key")"), R"("wireguard_private_key":")" + key_text(wireguard.secret) + "\",");
  auto server = *server::Server::create(*config::parse_server_config(json));
  ASSERT_TRUE(server->start());
  registry::ClientSpec spec;
  spec.id = "phone";
  auto made = server->client_create(spec);
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(made->created.client.addresses.size(), 2u) << "one of each family, for good";
  EXPECT_EQ(crypto::public_key_of(made->created.wireguard_private_key), made->created.client.wireguard_public_key);
  for (const std::string& part : {key_text(made->created.wireguard_private_key), format_key(wireguard.pub),
                                  std::string("vpn.example.com:51820"), std::string("10.8.0.2")})
    EXPECT_NE(made->wireguard_conf.find(part), std::string::npos) << part << "\n" << made->wireguard_conf;
  auto kept = server->client_export("phone", true);
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->has_private_key);
  EXPECT_EQ(kept->text, made->wireguard_conf);
  EXPECT_EQ(server->client_export("phone", false)->text, made->config_json);
  auto rotated = server->client_rotate("phone", {});
  EXPECT_NE(rotated->created.client.wireguard_public_key, made->created.client.wireguard_public_key);
  ASSERT_TRUE(server->client_rotate_roll_back("phone"));
  EXPECT_EQ(server->client_export("phone", true)->text, made->wireguard_conf);
}

TEST(RegistryOfAServer, ClientsOfTheConfigurationAreThereFromTheBeginning) {
  auto alice = crypto::generate_key_pair(system_rng());
  ServerSetup setup;
  setup.extra = R"(,"clients":[{"id":"alice","noise_public_key":")" + format_key(alice.pub) +
                R"(","subnets":["192.168.7.0/24"],"priority":3}])";
  RunningServer server{setup};
  auto client = server.server->client_get("alice");
  ASSERT_TRUE(client);
  EXPECT_EQ(client->priority, 3u);
  EXPECT_EQ(client->subnets.at(0).text(), "192.168.7.0/24");
  EXPECT_EQ(server.server->client_export("alice", true).error().status, Status::UNSUPPORTED);
}

TEST(RegistryOfAServer, ReconfiguringCreatesWhatIsMissingAndChangesNothingElse) {
  auto entry = [](const std::string& id, const std::string& more) {
    return R"({"id":")" + id + R"(","noise_public_key":")" + format_key(crypto::generate_key_pair(system_rng()).pub) +
           "\"" + more + "}";
  };
  ServerSetup setup;
  RunningServer server{setup};
  server.create_client("alice");
  const registry::Client before = *server.server->client_get("alice");
  auto with = [&](const std::string& clients) {
    setup.extra = R"(,"clients":[)" + clients + "]";
    return server.server->reconfigure(*config::parse_server_config(setup.json()), {});
  };
  const std::string her_key = format_key(before.noise_public_key);
  auto refused = with(entry("carol", "") + R"(,{"id":"dave","noise_public_key":")" + her_key + "\"}");
  EXPECT_EQ(outcome(refused), "EXISTS /clients/1/noise_public_key");
  EXPECT_EQ(server.server->client_list()->size(), 1u) << "all or nothing";
  ASSERT_TRUE(with(entry("alice", R"(,"description":"x")") + "," + entry("carol", "")));
  EXPECT_EQ(*server.server->client_get("alice"), before);
  EXPECT_TRUE(server.server->client_get("carol"));
}

#if SMARTVPN_WITH_SQLITE
TEST(RegistryOfAServer, ADurableStoreBringsItsClientsBackWithBothKeysOfARotation) {
  smartvpn::testing::TemporaryFolder folder;
  const std::string entry = R"({"id":"declared","noise_public_key":")" +
                            format_key(crypto::generate_key_pair(system_rng()).pub) + R"(","description":"first"})";
  ServerSetup setup;
  setup.extra = R"(,"registry":{"store":"sqlite","path":")" + (folder / "registry") + R"("},"clients":[)" + entry + "]";
  setup.mode = "host";
  std::string old_json, new_json;
  uint64_t revision = 0;
  {
    RunningServer server{setup};
    old_json = server.create_client("alice", 2);
    new_json = server.server->client_rotate("alice", {})->config_json;
    ASSERT_TRUE(server.server->client_update("alice", R"({"description":"kept"})", 0));
    ASSERT_TRUE(server.server->client_update("declared", R"({"description":"changed"})", 0));
    revision = *server.server->registry_revision();
    ASSERT_TRUE(server.server->stop(0, kWaitMs));
  }
  {
    RunningServer server{setup};
    EXPECT_EQ(*server.server->registry_revision(), revision) << "and what is there is not declared again";
    EXPECT_EQ(server.server->client_get("alice")->description, "kept");
    EXPECT_EQ(server.server->client_get("declared")->description, "changed");
    for (std::string* json : {&old_json, &new_json}) {
      const auto at = json->find("127.0.0.1:") + 10;
      json->replace(at, json->find('/', at) - at, std::to_string(server.port()));
      EXPECT_TRUE(connect(client_config(*json, "host", kNoReconnect)));
    }
    ASSERT_TRUE(server.server->client_rotate_commit("alice"));
    EXPECT_EQ(*server.server->registry_revision(), revision + 1);
  }
}
#endif

TEST(RegistryOfAServer, AKeyNobodyCanHaveIsRefusedWithItsPath) {
  ServerSetup setup;
  const std::string low_order = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  setup.extra = R"(,"clients":[{"id":"alice","noise_public_key":")" + low_order + R"("}])";
  auto made = server::Server::create(*config::parse_server_config(setup.json()));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().path, "/clients/0/noise_public_key");
}

}  // namespace
}  // namespace smartvpn::testing_support
