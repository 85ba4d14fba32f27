// Clients that pose as others at a live server: with inner sources that are not theirs, with wishes for others'
// addresses, with packets to neighbours that they may not know of, and with two connections of one key at once.
#include <map>
#include <thread>

#include "inet/super_packet.hpp"
#include "support/inet_packets.hpp"
#include "support/siege.hpp"
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

using test::as_fragment_v4;
using test::fragment_v6;
using test::icmp_packet;
using test::pattern;

Bytes udp(std::string_view from, std::string_view to, size_t size = 32) {
  return test::udp_packet(from, 4000, to, 9999, pattern(size));
}

// alice (10.8.0.2, fd00:8::2) is hostile, bob (10.8.0.3, fd00:8::3) is live, carol has 10.8.0.40 and fd00:8::40 for
// good and 192.168.40.0/24 behind her, and is away. Everything that passes shows at the server's host, or at bob.
class IdentityPosing : public ::testing::Test {
 protected:
  void start(const std::string& network = {}) {
    ServerSetup setup;
    setup.mode = "host";
    setup.network = network;
    server_.emplace(setup);
    alice_.emplace(RawSocket(server_->port()), server_->public_key_, key_of(server_->create_client("alice")));
    ASSERT_TRUE(alice_->connect() && server_->wait(telemetry::EventType::session_up));
    bob_ = connect(client_config(server_->create_client("bob"), "host"));
    registry::ClientSpec carol;
    carol.id = "carol";
    carol.addresses = {*inet::IpAddress::parse("10.8.0.40"), *inet::IpAddress::parse("fd00:8::40")};
    carol.subnets = {*inet::Cidr::parse("192.168.40.0/24")};
    server_->create_client(carol);
    ASSERT_EQ(address_v4(*bob_).text(), "10.8.0.3");
  }
  void send(const Bytes& packet, uint16_t segment_size = 0) {
    ASSERT_TRUE(alice_->give(packet, segment_size));
    ASSERT_TRUE(alice_->say_next());
  }
  // What alice's packets were dropped for since the last call.
  std::map<std::string, uint64_t> new_drops() {
    std::map<std::string, uint64_t> out;
    for (const auto& session : sessions_of(*server_)) {
      if (session.client_id != "alice") continue;
      for (size_t i = 1; i < kDropCount; ++i)
        if (session.counters.drops[i] > seen_[i])
          out[drop_name(static_cast<Drop>(i))] = session.counters.drops[i] - seen_[i];
      std::copy(session.counters.drops.begin(), session.counters.drops.end(), seen_.begin());
    }
    return out;
  }
  Bytes at_host() {
    Bytes arena(70000);
    forward::HostPacket meta;
    auto count = server_->server->packets_read(arena, {&meta, 1}, kWaitMs);
    if (!count || *count == 0) return {};
    auto at = arena.begin() + static_cast<ptrdiff_t>(meta.offset);
    return Bytes(at, at + static_cast<ptrdiff_t>(meta.length));
  }
  // All that alice sent so far was judged, and nothing of it reached the host or bob.
  void nothing_passed() {
    const Bytes mark = udp("10.8.0.2", "192.0.2.77", 40 + ++marks_),
                to_bob = udp("192.0.2.77", "10.8.0.3", 40 + marks_);
    send(mark);
    EXPECT_EQ(to_hex(at_host()), to_hex(mark));
    forward::HostPacket meta;
    meta.length = static_cast<uint32_t>(to_bob.size());
    ASSERT_TRUE(server_->server->packets_write(to_bob, {&meta, 1}));
    EXPECT_EQ(to_hex(read_packet(*bob_)), to_hex(to_bob));
  }
  void is_dropped(const std::string& what, const Bytes& packet, const std::string& why, uint16_t segment_size = 0,
                  uint64_t count = 1) {
    SCOPED_TRACE(what);
    send(packet, segment_size);
    nothing_passed();
    EXPECT_EQ(new_drops(), (std::map<std::string, uint64_t>{{why, count}}));
  }

  std::optional<RunningServer> server_;
  std::optional<WireClient> alice_;
  std::unique_ptr<tunnel::Tunnel> bob_;
  std::array<uint64_t, kDropCount> seen_{};
  size_t marks_ = 0;
};

TEST_F(IdentityPosing, NoSourceButItsOwnLeavesASession) {
  start(R"(,"client_to_client":true,"routes":["172.20.0.0/16","fd99::/32"])");
  for (const char* from : {"10.8.0.3", "10.8.0.40", "10.8.0.99", "10.8.0.1", "10.8.0.0", "10.8.0.255", "192.168.40.4",
                           "172.20.0.1", "127.0.0.1", "0.0.0.0", "169.254.1.1", "8.8.8.8", "240.0.0.1"})
    is_dropped(from, udp(from, "192.0.2.9"), "spoofed_source");
  for (const char* from : {"fd00:8::3", "fd00:8::40", "fd00:8::99", "fd00:8::1", "fd00:8::", "fd99::1", "::", "fe80::1",
                           "2001:4860::8", "64:ff9b::a08:2", "2002:a08:2::1"})
    is_dropped(from, udp(from, "2001:db8::9"), "spoofed_source");
  for (const char* from : {"224.0.0.5", "239.1.1.1", "255.255.255.255"})
    is_dropped(from, udp(from, "192.0.2.9"), "malformed_packet");
  is_dropped("multicast", udp("ff02::1", "2001:db8::9"), "malformed_packet");
  // Its own and others' IPv4 addresses as IPv6, and the loopback.
  for (const char* from : {"::ffff:10.8.0.2", "::ffff:10.8.0.3", "::1", "::10.8.0.2"})
    is_dropped(from, udp(from, "2001:db8::9"), "mapped_address");
  // Also straight to another client.
  is_dropped("carol to bob", udp("10.8.0.40", "10.8.0.3"), "spoofed_source");
  is_dropped("bob to bob", udp("fd00:8::3", "fd00:8::3"), "spoofed_source");
}

TEST_F(IdentityPosing, FragmentsAndSuperPacketsDoNotHideASource) {
  start();
  const Bytes whole = udp("10.8.0.3", "192.0.2.9", 64);
  is_dropped("first", as_fragment_v4(whole, 0, true), "spoofed_source");
  is_dropped("later", as_fragment_v4(whole, 72, false), "spoofed_source");
  is_dropped("first v6", fragment_v6("fd00:8::3", "2001:db8::9", 17, 0, true, pattern(64)), "spoofed_source");
  is_dropped("later v6", fragment_v6("fd00:8::3", "2001:db8::9", 17, 64, false, pattern(64)), "spoofed_source");
  // A first fragment of its own does not open the way for later ones of somebody else.
  send(as_fragment_v4(udp("10.8.0.2", "192.0.2.9", 64), 0, true));
  ASSERT_FALSE(at_host().empty());
  is_dropped("after its own", as_fragment_v4(whole, 72, false), "spoofed_source");

  auto super = [](std::string_view from, std::string_view to) {
    Bytes packet = udp(from, to, 2440);
    inet::SuperInfo info;
    EXPECT_EQ(inet::parse_super(packet, 1220, info), Drop::none);
    inet::prepare_partial(packet, info);
    return packet;
  };
  is_dropped("super v4", super("10.8.0.3", "192.0.2.9"), "spoofed_source", 1220, 2);
  is_dropped("super v6", super("fd00:8::3", "2001:db8::9"), "spoofed_source", 1220, 2);
  is_dropped("super mapped", super("::ffff:10.8.0.2", "2001:db8::9"), "mapped_address", 1220, 2);
  // Odd headers inside.
  const Bytes good = super("10.8.0.2", "192.0.2.9");
  Bytes odd = good;
  odd[0] = 0x65;
  is_dropped("version 6", odd, "bad_super_packet", 1220);
  odd = good;
  odd[0] = 0x46;
  is_dropped("options", odd, "bad_super_packet", 1220);
  odd = good;
  odd[9] = 1;
  is_dropped("ICMP", odd, "bad_super_packet", 1220);
  odd = good;
  store_be16(&odd[2], 1248);
  is_dropped("a shorter total", odd, "bad_super_packet", 1220);
  odd = good;
  store_be16(&odd[24], 1228);
  is_dropped("a shorter UDP length", odd, "bad_super_packet", 1220);
  is_dropped("a fragment", as_fragment_v4(good, 0, true), "bad_super_packet", 1220);
  is_dropped("tiny segments", good, "bad_super_packet", 20);
  is_dropped("one segment", good, "bad_super_packet", 65535);
}

TEST_F(IdentityPosing, NeighboursAreOutOfReachHoweverTheyAreAddressed) {
  start();
  for (const char* to : {"10.8.0.3", "10.8.0.40", "10.8.0.99", "192.168.40.4"})
    is_dropped(to, udp("10.8.0.2", to), "client_to_client");
  for (const char* to : {"fd00:8::3", "fd00:8::40", "fd00:8::99", "64:ff9b::a08:3", "2002:a08:3::1"})
    is_dropped(to, udp("fd00:8::2", to), "client_to_client");
  is_dropped("mapped", udp("fd00:8::2", "::ffff:10.8.0.3"), "mapped_address");
  is_dropped("link-local", udp("fd00:8::2", "fe80::3"), "no_route");
  is_dropped("its own link-local", udp("fe80::2", "fe80::3"), "neighbour_noise");
  is_dropped("link-local v4", udp("10.8.0.2", "169.254.0.3"), "no_route");
  is_dropped("all nodes", icmp_packet("fd00:8::2", "ff02::1", 128, 0, pattern(8)), "multicast");
  is_dropped("subnet broadcast", udp("10.8.0.2", "10.8.0.255"), "broadcast");
  is_dropped("broadcast", udp("10.8.0.2", "255.255.255.255"), "broadcast");
  is_dropped("solicitation", icmp_packet("fd00:8::2", "ff02::1:ff00:3", 135, 0, pattern(16)), "neighbour_noise");
  is_dropped("advertisement", icmp_packet("fd00:8::2", "fd00:8::3", 136, 0, pattern(16)), "neighbour_noise");
  is_dropped("redirect", icmp_packet("fd00:8::2", "fd00:8::3", 137, 0, pattern(32)), "neighbour_noise");
  // Errors about conversations of bob's.
  const Bytes his4 = udp("192.0.2.9", "10.8.0.3"), his6 = udp("2001:db8::9", "fd00:8::3");
  is_dropped("error", icmp_packet("10.8.0.2", "192.0.2.9", 3, 3, his4), "icmp_mismatch");
  is_dropped("error v6", icmp_packet("fd00:8::2", "2001:db8::9", 1, 4, his6), "icmp_mismatch");
  const Bytes mine4 = udp("10.8.0.3", "10.8.0.2"), mine6 = udp("fd00:8::3", "fd00:8::2");
  is_dropped("error to him", icmp_packet("10.8.0.2", "10.8.0.3", 3, 4, mine4), "client_to_client");
  is_dropped("error to him v6", icmp_packet("fd00:8::2", "fd00:8::3", 2, 0, mine6), "client_to_client");
  // By the host's kernel, which sends it back.
  for (const Bytes& back :
       {udp("10.8.0.2", "10.8.0.3"), udp("fd00:8::2", "fd00:8::3"), udp("64:ff9b::a08:2", "fd00:8::3")}) {
    const uint64_t before = stats_of(*server_).total.traffic.drops[static_cast<size_t>(Drop::client_to_client)];
    forward::HostPacket meta;
    meta.length = static_cast<uint32_t>(back.size());
    ASSERT_TRUE(server_->server->packets_write(back, {&meta, 1}));
    nothing_passed();
    EXPECT_EQ(stats_of(*server_).total.traffic.drops[static_cast<size_t>(Drop::client_to_client)], before + 1);
  }
}

TEST_F(IdentityPosing, WishingForAnothersAddressGetsAFreeOne) {
  start();
  const char* const wishes[] = {"10.8.0.3",    "10.8.0.40", "10.8.0.1",    "10.8.0.255", "10.8.0.0",
                                "192.0.2.1",   "127.0.0.1", "fd00:8::3",   "fd00:8::40", "fd00:8::1",
                                "2001:db8::1", "::1",       "192.168.40.4"};
  int number = 0;
  for (const char* wish : wishes) {
    SCOPED_TRACE(wish);
    const std::string id = "dave" + std::to_string(number++);
    const SecretKey key = key_of(server_->create_client(id));
    WireClient dave(RawSocket(server_->port()), server_->public_key_, key.clone(), {*inet::IpAddress::parse(wish)});
    ASSERT_TRUE(dave.connect());
    const auto& got = dave.initiator().parameters().addresses;
    ASSERT_EQ(got.size(), 2u);
    const auto subnet4 = *inet::Cidr::parse("10.8.0.0/24"), subnet6 = *inet::Cidr::parse("fd00:8::/64");
    for (const auto& ip : got) {
      EXPECT_NE(ip.text(), wish);
      EXPECT_TRUE(subnet4.contains(ip) || subnet6.contains(ip));
    }
    ASSERT_TRUE(eventually([&] { return sessions_of(*server_).size() == 3; }));
    // Bob has what he had.
    nothing_passed();
    dave.socket.close();
    ASSERT_TRUE(eventually([&] { return sessions_of(*server_).size() == 2; }));
  }
}

class IdentityRace : public ::testing::TestWithParam<bool> {};

// Both have message 2, and say their first data in the same moment.
TEST_P(IdentityRace, OfTwoConnectionsOfOneKeyExactlyOneHasTheSessionAndItsAddresses) {
  const bool refuse_new = GetParam();
  ServerSetup setup;
  setup.mode = "host";
  RunningServer server{setup};
  registry::ClientSpec spec;
  spec.id = "alice";
  if (refuse_new) spec.session_policy = registry::SessionPolicy::refuse_new;
  const SecretKey key = key_of(server.create_client(spec));
  for (uint64_t round = 0; round < testing::siege_rounds(20, 500); ++round) {
    // An older connection stays in the middle of its handshake meanwhile: it hinders nobody.
    WireClient half(RawSocket(server.port()), server.public_key_, key.clone());
    ASSERT_TRUE(half.upgrade() && half.hear_hello() && half.say_next() && half.hear());
    std::vector<std::unique_ptr<WireClient>> two;
    for (int i = 0; i < 2; ++i) {
      auto& client =
          *two.emplace_back(std::make_unique<WireClient>(RawSocket(server.port()), server.public_key_, key.clone()));
      ASSERT_TRUE(client.upgrade() && client.hear_hello() && client.say_next() && client.hear());
    }
    std::vector<std::thread> threads;
    for (auto& client : two) threads.emplace_back([&client] { EXPECT_TRUE(client->say_next()); });
    for (auto& thread : threads) thread.join();
    // The loser is told, and the winner is not.
    const Bytes probe = udp("192.0.2.9", two[0]->initiator().parameters().addresses.at(0).text());
    ASSERT_TRUE(eventually([&] {
      const auto total = stats_of(server).total;
      return total.sessions_now == 1 && total.connections_open == 2;
    }));
    WireClient *winner = nullptr, *loser = nullptr;
    ASSERT_TRUE(eventually([&] {
      for (size_t i = 0; i < 2 && !loser; ++i) {
        pollfd ready{two[i]->socket.fd(), POLLIN, 0};
        if (::poll(&ready, 1, 1) > 0 && two[i]->hear() && two[i]->closed)
          loser = two[i].get(), winner = two[1 - i].get();
      }
      return loser != nullptr;
    }));
    EXPECT_EQ(loser->closed->reason, refuse_new ? Reason::too_many_sessions : Reason::replaced);
    ASSERT_TRUE(eventually([&] { return sessions_of(server).size() == 1; }));
    forward::HostPacket meta;
    meta.length = static_cast<uint32_t>(probe.size());
    ASSERT_TRUE(server.server->packets_write(probe, {&meta, 1}));
    while (winner->packets.empty()) ASSERT_TRUE(winner->hear());
    EXPECT_EQ(winner->packets.front(), probe);
    EXPECT_TRUE(loser->packets.empty());
    // The older one comes too late.
    ASSERT_TRUE(half.say_next());
    while (!half.closed) ASSERT_TRUE(half.hear());
    EXPECT_EQ(half.closed->reason, refuse_new ? Reason::too_many_sessions : Reason::replaced);
    EXPECT_EQ(sessions_of(server).size(), 1u);
    half.socket.close();
    two.clear();
    ASSERT_TRUE(becomes_idle(server));
  }
}

INSTANTIATE_TEST_SUITE_P(BothPolicies, IdentityRace, ::testing::Bool(),
                         [](const auto& policy) { return policy.param ? "RefuseNew" : "DropOldest"; });

}  // namespace
}  // namespace smartvpn::testing_support
