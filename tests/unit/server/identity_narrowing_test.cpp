// What a change of a client does to its traffic while that flows: once the call has returned, no packet passes that
// the client's entry no longer allows, in neither direction and neither family. Clients here are hostile: they go on
// sending whatever they are told.
#include <atomic>
#include <thread>

#include "support/inner_packets.hpp"
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

using testing::udp_packet;

constexpr const char* kHost4 = "192.0.2.9";
constexpr const char* kHost6 = "2001:db8::9";

std::string data_of(const Bytes& packet) {
  const size_t header = packet.at(0) >> 4 == 6 ? 48 : 28;
  return std::string(packet.begin() + static_cast<ptrdiff_t>(std::min(header, packet.size())), packet.end());
}

// A client on a raw socket that floods the server from a thread of its own.
class Flooder {
 public:
  Flooder(RunningServer& server, const std::string& json, ByteView header)
      : client(RawSocket(server.port()), server.public_key_, key_of(json)) {
    EXPECT_TRUE(client.connect(header));
  }
  ~Flooder() { stop(); }
  // In both families. Packets say "late" once `late` is set.
  void start(const std::string& own4, const std::string& own6) {
    thread_ = std::thread([this, own4, own6] {
      for (int after = 0; after < 40;) {
        const char* text = late ? "late" : "early";
        after += late;
        client.give(udp_packet(own4, kHost4, text));
        client.give(udp_packet(own6, kHost6, text));
        if (!client.say_next()) break;
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    });
  }
  void stop() {
    late = true;
    if (thread_.joinable()) thread_.join();
  }
  WireClient client;
  std::atomic<bool> late{false};

 private:
  std::thread thread_;
};

class IdentityNarrowing : public ::testing::Test {
 protected:
  explicit IdentityNarrowing(const std::string& network = {}) : setup_(setup(network)), server_(setup_) {}
  static ServerSetup setup(const std::string& network) {
    ServerSetup setup;
    setup.listen = proxied_listener("v2");
    setup.mode = "host";
    setup.network = network;
    return setup;
  }
  server::Server& face() { return *server_.server; }
  // The next packet that reached the server's host, or nothing.
  Bytes at_host(int32_t timeout_ms = kWaitMs) {
    Bytes arena(70000);
    forward::HostPacket meta;
    auto count = face().packets_read(arena, {&meta, 1}, timeout_ms);
    if (!count || *count == 0) return {};
    auto at = arena.begin() + static_cast<ptrdiff_t>(meta.offset);
    return Bytes(at, at + static_cast<ptrdiff_t>(meta.length));
  }
  // Everything up to the one that says `last`; how many said "late".
  int late_until(const std::string& last) {
    int late = 0;
    for (Bytes packet = at_host(); !packet.empty(); packet = at_host()) {
      const std::string data = data_of(packet);
      if (data == last) return late;
      late += data == "late";
    }
    ADD_FAILURE() << last << " did not come";
    return late;
  }
  void from_host(const Bytes& packet) {
    forward::HostPacket meta;
    meta.length = static_cast<uint32_t>(packet.size());
    ASSERT_TRUE(face().packets_write(packet, {&meta, 1}));
  }
  std::string own(const std::string& id, bool v4) {
    for (const auto& session : sessions_of(server_))
      for (const auto& ip : session.addresses)
        if (session.client_id == id && ip.is_v4() == v4) return ip.text();
    return v4 ? "0.0.0.0" : "::";
  }
  uint64_t drops(const std::string& id, Drop why) {
    uint64_t sum = 0;
    for (const auto& session : sessions_of(server_))
      if (session.client_id == id) sum += session.counters.drops[static_cast<size_t>(why)];
    return sum;
  }
  bool ok(const Result<void>& result) {
    EXPECT_TRUE(result) << result.error().path << " " << result.error().text;
    return result.ok();
  }
  ServerSetup setup_;
  RunningServer server_;
};

TEST_F(IdentityNarrowing, NotOnePacketPassesOnceTheCallThatEndsASessionHasReturned) {
  auto bob = connect(client_config(server_.create_client("bob"), "host",
                                   R"(,"proxy_protocol":{"send":"v2","source":"198.51.100.99:1",)"
                                   R"("destination":"203.0.113.1:443"})"));
  ASSERT_TRUE(bob);
  const std::string past = "{\"expires_at\":" + std::to_string(wall_clock_ms() - 1000) + "}";
  auto update = [&](const std::string& patch) {
    return [this, patch](const std::string& id) { return face().client_update(id, patch, 0); };
  };
  struct Case {
    const char* name;
    std::function<Result<void>(const std::string&)> act;
    const char* source = "198.51.100.7:1";
  };
  const Case cases[] = {
      {"disabled", [&](const std::string& id) { return face().client_set_enabled(id, false); }},
      {"removed", [&](const std::string& id) { return face().client_remove(id); }},
      {"expired", update(past)},
      {"blocked", update(R"({"security":{"ip_block_list":["198.51.100.0/24"]}})")},
      {"not allowed", update(R"({"security":{"ip_allow_list":["2001:db8:2::/48"]}})"), "[2001:db8:1::7]:1"},
      {"transports", update(R"({"transports":["quic"]})")},
      {"address", update(R"({"addresses":["10.8.0.199"]})")},
      {"address of the other family", update(R"({"addresses":["fd00:8::199"]})")},
      {"key", update(R"({"noise_public_key":"AgIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="})")},
      {"rotated at once",
       [&](const std::string& id) -> Result<void> {
         auto made = face().client_rotate(id, {});
         return made ? face().client_rotate_commit(id) : Result<void>(made.error());
       }},
      {"disconnected",
       [&](const std::string& id) -> Result<void> {
         for (const auto& session : sessions_of(server_))
           if (session.client_id == id) return face().disconnect(session.id, Reason::disconnected);
         return make_error(Status::NOT_FOUND, "no session");
       }},
  };
  int number = 0;
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const std::string id = "c" + std::to_string(number++), last = "last " + id;
    Flooder flooder(server_, server_.create_client(id), v2_header(c.source));
    ASSERT_TRUE(eventually([&] { return own(id, true) != "0.0.0.0"; }));
    const std::string own4 = own(id, true), own6 = own(id, false);
    flooder.start(own4, own6);
    for (int i = 0; i < 20; ++i) {
      ASSERT_FALSE(at_host().empty());
      from_host(udp_packet(kHost4, own4, "early"));
      from_host(udp_packet(kHost6, own6, "early"));
    }
    ASSERT_TRUE(ok(c.act(id)));
    flooder.late = true;
    from_host(udp_packet(kHost4, own4, "late"));
    from_host(udp_packet(kHost6, own6, "late"));
    flooder.stop();
    // What the server takes from here on comes behind all of that; and so does what it gives.
    write_packet(*bob, udp_packet(address_v4(*bob).text(), kHost4, last));
    EXPECT_EQ(late_until(last), 0);
    from_host(udp_packet(kHost4, address_v4(*bob).text(), last));
    for (Bytes packet = read_packet(*bob); data_of(packet) != last; packet = read_packet(*bob)) {
      EXPECT_NE(data_of(packet), "late");
      ASSERT_FALSE(packet.empty());
    }
    while (flooder.client.hear()) continue;
    EXPECT_FALSE(flooder.client.packets.empty());
    for (const Bytes& packet : flooder.client.packets) EXPECT_EQ(data_of(packet), "early");
  }
}

TEST_F(IdentityNarrowing, NotOnePacketPassesOnceTheClockHasEndedASession) {
  registry::ClientSpec spec;
  spec.id = "alice";
  spec.expires_at_ms = wall_clock_ms() + 700;
  Flooder flooder(server_, server_.create_client(spec), v2_header("198.51.100.7:1"));
  ASSERT_TRUE(eventually([&] { return own("alice", true) != "0.0.0.0"; }));
  flooder.start(own("alice", true), own("alice", false));
  auto down = server_.wait(telemetry::EventType::session_down);
  ASSERT_TRUE(down);
  EXPECT_STREQ(down->text("reason"), "client_expired");
  EXPECT_LT(down->time_ms(), spec.expires_at_ms + 3000);
  flooder.stop();
  auto bob = connect(client_config(server_.create_client("bob"), "host",
                                   R"(,"proxy_protocol":{"send":"v2","source":"198.51.100.99:1",)"
                                   R"("destination":"203.0.113.1:443"})"));
  write_packet(*bob, udp_packet(address_v4(*bob).text(), kHost4, "last"));
  EXPECT_EQ(late_until("last"), 0);
}

// A session that stays, but may do less: what is forbidden now and what is allowed still travel one behind the other.
TEST_F(IdentityNarrowing, ASessionThatStaysKeepsToItsNewSubnetsAndDestinationsFromTheReturnOn) {
  registry::ClientSpec spec;
  spec.id = "site";
  for (const char* subnet : {"192.168.7.0/24", "192.168.8.0/24", "fd77::/48"})
    spec.subnets.push_back(*inet::Cidr::parse(subnet));
  WireClient client(RawSocket(server_.port()), server_.public_key_, key_of(server_.create_client(spec)));
  ASSERT_TRUE(client.connect(v2_header("198.51.100.7:1")));
  ASSERT_TRUE(eventually([&] { return own("site", true) != "0.0.0.0"; }));
  const std::string own4 = own("site", true), own6 = own("site", false);
  struct Case {
    const char* patch;
    const char *inner, *forbidden, *outer, *allowed;
  };
  const Case cases[] = {
      {R"({"subnets":["192.168.8.0/24","fd77::/48"]})", nullptr, "192.168.7.7", kHost4, "192.168.8.8"},
      {R"({"subnets":["192.168.8.0/24"]})", nullptr, "fd77::7", kHost6, own6.c_str()},
      {R"({"security":{"destination_block_list":["192.0.2.64/26"]}})", own4.c_str(), "192.0.2.70", nullptr, kHost4},
      {R"({"security":{"destination_allow_list":["2001:db8::/32"]}})", own6.c_str(), "2001:db9::1", nullptr, kHost6},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.patch);
    auto out = [&](const char* what, const char* text) {
      return c.inner ? udp_packet(c.inner, what, text) : udp_packet(what, c.outer, text);
    };
    auto in = [&](const char* what, const char* text) {
      return c.inner ? udp_packet(what, c.inner, text) : udp_packet(c.outer, what, text);
    };
    ASSERT_TRUE(client.give(out(c.forbidden, "early")) && client.say_next());
    ASSERT_EQ(data_of(at_host()), "early");
    ASSERT_TRUE(ok(face().client_update("site", c.patch, 0)));
    for (int i = 0; i < 5; ++i) {
      client.give(out(c.forbidden, "late"));
      from_host(in(c.forbidden, "late"));
    }
    client.give(out(c.allowed, "last"));
    while (client.say_next()) continue;
    EXPECT_EQ(late_until("last"), 0);
    from_host(in(c.allowed, "last"));
    client.packets.clear();
    while (client.packets.empty() || data_of(client.packets.back()) != "last") ASSERT_TRUE(client.hear());
    EXPECT_EQ(client.packets.size(), 1u);
  }
}

// What a rate limit made wait, towards the client and from it, had been let through by the old lists.
TEST_F(IdentityNarrowing, WhatWaitsForARateLimitIsJudgedByTheNewDestinations) {
  registry::ClientSpec spec;
  spec.id = "slow";
  spec.security.rate_limit = {1000, 2000, 1000, 2000};
  spec.subnets = {*inet::Cidr::parse("192.168.7.0/24")};
  WireClient client(RawSocket(server_.port()), server_.public_key_, key_of(server_.create_client(spec)));
  ASSERT_TRUE(client.connect(v2_header("198.51.100.7:1")));
  ASSERT_TRUE(eventually([&] { return own("slow", true) != "0.0.0.0"; }));
  const std::string own4 = own("slow", true), bulk(1000, 'x');
  for (int i = 0; i < 8; ++i) {
    client.give(udp_packet(own4, kHost4, bulk));
    from_host(udp_packet(kHost4, own4, bulk));
    from_host(udp_packet("198.51.100.1", "192.168.7.7", bulk));
  }
  while (client.say_next()) continue;
  ASSERT_FALSE(at_host().empty());  // what the burst let go
  ASSERT_TRUE(eventually([&] { return sessions_of(server_)[0].counters.inner_packets_out >= 16; }));
  ASSERT_TRUE(ok(face().client_update(
      "slow", R"({"subnets":[],"security":{"destination_block_list":["192.0.2.0/24"],"rate_limit":null}})", 0)));
  while (!at_host(0).empty()) continue;  // those went before
  client.give(udp_packet(own4, "198.51.100.1", "last"));
  while (client.say_next()) continue;
  EXPECT_EQ(data_of(at_host()), "last");
  EXPECT_TRUE(eventually([&] { return drops("slow", Drop::destination_blocked) >= 1; }));
  EXPECT_TRUE(at_host(0).empty());
  from_host(udp_packet("198.51.100.1", own4, "last"));
  while (client.packets.empty() || data_of(client.packets.back()) != "last") ASSERT_TRUE(client.hear());
  EXPECT_LE(client.packets.size(), 9u);
  EXPECT_GE(drops("slow", Drop::no_route), 1u);
  EXPECT_GE(drops("slow", Drop::source_blocked), 1u);
}

// The server has said yes in message 2, and the client waits with its first data.
TEST_F(IdentityNarrowing, AChangeBetweenTheAnswerAndTheFirstDataIsHeldAgainstTheClient) {
  auto update = [&](const std::string& patch) {
    return [this, patch](const std::string& id) { return face().client_update(id, patch, 0); };
  };
  struct Case {
    std::function<Result<void>(const std::string&)> act;
    const char* reason;
  };
  const Case cases[] = {
      {[&](const std::string& id) { return face().client_set_enabled(id, false); }, "client_disabled"},
      {update("{\"expires_at\":" + std::to_string(wall_clock_ms() - 1000) + "}"), "client_expired"},
      {update(R"({"security":{"ip_block_list":["198.51.100.7"]}})"), "client_ip_block_list"},
      {update(R"({"transports":["quic"]})"), "transport_not_allowed"},
      {update(R"({"addresses":["10.8.0.199"]})"), "disconnected"},
      {[&](const std::string& id) { return face().client_remove(id); }, "client_removed"},
      {[&](const std::string&) {
         setup_.extra = R"(,"security":{"connection_ip_block_list":["198.51.100.7"]})";
         return face().reconfigure(*config::parse_server_config(setup_.json()), {});
       },
       "ip_block_list"},
  };
  int number = 0;
  for (const auto& c : cases) {
    SCOPED_TRACE(c.reason);
    const std::string id = "c" + std::to_string(number++);
    WireClient client(RawSocket(server_.port()), server_.public_key_, key_of(server_.create_client(id)));
    ASSERT_TRUE(client.upgrade(v2_header("198.51.100.7:1")) && client.hear_hello() && client.say_next() &&
                client.hear());
    ASSERT_TRUE(ok(c.act(id)));
    ASSERT_TRUE(client.say_next());
    EXPECT_EQ(next_rejection(server_), c.reason);
  }
  EXPECT_EQ(stats_of(server_).total.sessions_total, 0u);
}

class IdentityNarrowingAmongClients : public IdentityNarrowing {
 protected:
  IdentityNarrowingAmongClients() : IdentityNarrowing(R"(,"client_to_client":true)") {}
};

TEST_F(IdentityNarrowingAmongClients, WhatClientsSentEachOtherDoesNotArriveOnceTheyMayNotMeet) {
  registry::ClientSpec spec;
  spec.id = "slow";
  spec.security.rate_limit = {0, 0, 1000, 2000};
  WireClient slow(RawSocket(server_.port()), server_.public_key_, key_of(server_.create_client(spec)));
  ASSERT_TRUE(slow.connect(v2_header("198.51.100.7:1")) && server_.wait(telemetry::EventType::session_up));
  const std::string own4 = own("slow", true);
  {
    Flooder bob(server_, server_.create_client("bob"), v2_header("198.51.100.8:1"));
    ASSERT_TRUE(server_.wait(telemetry::EventType::session_up));
    for (int i = 0; i < 8; ++i) bob.client.give(udp_packet(own("bob", true), own4, std::string(1000, 'x')));
    while (bob.client.say_next()) continue;
    ASSERT_TRUE(eventually([&] {
      for (const auto& session : sessions_of(server_))
        if (session.client_id == "slow" && session.counters.inner_packets_out == 8) return true;
      return false;
    }));
    setup_.network.clear();
    ASSERT_TRUE(ok(face().reconfigure(*config::parse_server_config(setup_.json()), {})));
    EXPECT_GE(drops("slow", Drop::client_to_client), 1u);
  }
  // An address of a session that is over leads nowhere, and is not its successor's by accident.
  ASSERT_TRUE(eventually([&] { return sessions_of(server_).size() == 1; }));
  setup_.network = R"(,"client_to_client":true)";
  ASSERT_TRUE(ok(face().reconfigure(*config::parse_server_config(setup_.json()), {})));
  slow.give(udp_packet(own4, "10.8.0.3", "late"));
  ASSERT_TRUE(slow.say_next());
  EXPECT_TRUE(eventually([&] { return drops("slow", Drop::no_route) == 1; }));
}

}  // namespace
}  // namespace smartvpn::testing_support
