// A client's destination lists on a live server, in both directions and both families, whatever an
// address or a fragment hides.
#include "inet/fragment.hpp"
#include "support/inner_packets.hpp"
#include "support/stranger.hpp"

namespace smartvpn::testing_support {
namespace {

using Lists = std::vector<std::string>;

// A server whose other side is the test, and one client with lists; the client has 10.8.0.2 and fd00:8::2.
class Destinations : public ::testing::Test {
 protected:
  void start(const Lists& block, const Lists& allow, const std::string& network = {}) {
    ServerSetup setup;
    setup.mode = "host";
    setup.network = network;
    server_.emplace(setup);
    registry::ClientSpec spec;
    spec.id = "alice";
    spec.security.destination_block_list = block;
    spec.security.destination_allow_list = allow;
    tunnel_ = connect(client_config(server_->create_client(spec), "host"));
    ASSERT_TRUE(tunnel_);
  }
  void send_to_client(ByteView packet) {
    forward::HostPacket meta;
    meta.length = static_cast<uint32_t>(packet.size());
    ASSERT_TRUE(server_->server->packets_write(packet, {&meta, 1}));
  }
  // The next packet of the client's that came through, or nothing soon.
  Bytes next_from_client(int32_t timeout_ms = kWaitMs) {
    Bytes arena(70000);
    forward::HostPacket meta;
    auto count = server_->server->packets_read(arena, {&meta, 1}, timeout_ms);
    if (!count) return {};
    auto at = arena.begin() + static_cast<ptrdiff_t>(meta.offset);
    return Bytes(at, at + meta.length);
  }
  uint64_t drops(Drop why) {
    uint64_t sum = 0;
    for (const auto& session : sessions_of(*server_))
      if (session.client_id == "alice") sum += session.counters.drops[static_cast<size_t>(why)];
    return sum;
  }
  bool become(Drop why, uint64_t count) {
    return eventually([&] { return drops(why) == count; });
  }
  void goes_out(const std::string& from, const std::string& to) {
    Bytes packet = testing::udp_packet(from, to, "passes");
    write_packet(*tunnel_, packet);
    EXPECT_EQ(next_from_client(), packet) << to;
  }
  void comes_in(const std::string& from, const std::string& to) {
    Bytes packet = testing::udp_packet(from, to, "passes");
    send_to_client(packet);
    EXPECT_EQ(read_packet(*tunnel_), packet) << from;
  }
  void stays_in(const std::string& from, const std::string& to) {
    const uint64_t before = drops(Drop::destination_blocked);
    write_packet(*tunnel_, testing::udp_packet(from, to, "blocked"));
    EXPECT_TRUE(become(Drop::destination_blocked, before + 1)) << to;
  }
  void stays_out(const std::string& from, const std::string& to) {
    const uint64_t before = drops(Drop::source_blocked);
    send_to_client(testing::udp_packet(from, to, "blocked"));
    EXPECT_TRUE(become(Drop::source_blocked, before + 1)) << from;
  }

  std::optional<RunningServer> server_;
  std::unique_ptr<tunnel::Tunnel> tunnel_;
};

constexpr const char* kOwn4 = "10.8.0.2";
constexpr const char* kOwn6 = "fd00:8::2";

TEST_F(Destinations, ABlockListHoldsInBothDirectionsAndFamilies) {
  start({"192.0.2.0/24", "2001:db8:bad::/48"}, {});
  stays_in(kOwn4, "192.0.2.9");
  stays_in(kOwn6, "2001:db8:bad::9");
  stays_out("192.0.2.9", kOwn4);
  stays_out("2001:db8:bad::9", kOwn6);
  goes_out(kOwn4, "198.51.100.9");
  goes_out(kOwn6, "2001:db8::9");
  comes_in("198.51.100.9", kOwn4);
  comes_in("2001:db8::9", kOwn6);
}

TEST_F(Destinations, AnAllowListClosesEverythingElseButTheGatewaysServices) {
  start({}, {"192.0.2.0/24", "2001:db8:5::/48"});
  goes_out(kOwn4, "192.0.2.9");
  goes_out(kOwn6, "2001:db8:5::9");
  comes_in("192.0.2.9", kOwn4);
  stays_in(kOwn4, "198.51.100.9");
  stays_in(kOwn6, "2001:db8::9");
  stays_out("198.51.100.9", kOwn4);
  stays_out("2001:db8::9", kOwn6);
  // Ping of the gateway, and its answer, though no list names it.
  Bytes ping = testing::echo_request(kOwn4, "10.8.0.1");
  write_packet(*tunnel_, ping);
  EXPECT_EQ(next_from_client(), ping);
  comes_in("10.8.0.1", kOwn4);
  comes_in("fd00:8::1", kOwn6);
}

TEST_F(Destinations, TheIpv4InsideAnIpv6AddressIsJudgedToo) {
  start({"192.0.2.0/24"}, {});
  stays_in(kOwn6, "64:ff9b::192.0.2.9");
  stays_in(kOwn6, "2002:c000:0209::1");
  stays_in(kOwn6, "2001:0:c633:6401:0:0:3fff:fdf6");  // a Teredo client at 192.0.2.9
  stays_out("64:ff9b::192.0.2.9", kOwn6);
  goes_out(kOwn6, "64:ff9b::198.51.100.9");
}

TEST_F(Destinations, LaterFragmentsFollowTheFirst) {
  start({"192.0.2.0/24"}, {});
  for (const char* to : {"192.0.2.9", "198.51.100.9"}) {
    Bytes whole = testing::udp_packet(kOwn4, to, std::string(3000, 'x'));
    whole[6] = 0;  // may be cut
    store_be16(&whole[10], 0);
    store_be16(&whole[10], inet::checksum_of(ByteView(whole).first(20)));
    inet::FragmentPlan plan;
    ASSERT_EQ(inet::plan_fragments(whole, 1400, plan), Drop::none);
    PacketPool pool;
    std::vector<Bytes> pieces;
    inet::fragment(whole, plan, pool,
                   [&](Packet&& piece) { pieces.emplace_back(piece.bytes().begin(), piece.bytes().end()); });
    ASSERT_EQ(pieces.size(), 3u);
    for (const Bytes& piece : pieces) write_packet(*tunnel_, piece);
  }
  for (int i = 0; i < 3; ++i) {
    Bytes piece = next_from_client();
    ASSERT_GE(piece.size(), 20u);
    EXPECT_EQ(piece[16], 198);
  }
  EXPECT_TRUE(become(Drop::destination_blocked, 3));
}

TEST_F(Destinations, BetweenClientsTheListsOfBothHold) {
  start({"10.8.0.3"}, {}, R"(,"client_to_client":true)");
  auto bob = connect(client_config(server_->create_client("bob"), "host"));
  auto carol = connect(client_config(server_->create_client("carol"), "host"));
  ASSERT_EQ(address_v4(*bob).text(), "10.8.0.3");
  stays_in(kOwn4, "10.8.0.3");
  write_packet(*bob, testing::udp_packet("10.8.0.3", kOwn4, "blocked"));
  EXPECT_TRUE(become(Drop::source_blocked, 1));
  Bytes packet = testing::udp_packet("10.8.0.4", kOwn4, "passes");
  write_packet(*carol, packet);
  EXPECT_EQ(read_packet(*tunnel_), packet);
}

TEST_F(Destinations, AnIcmpErrorFromARouterOnTheWayReachesAClientWithAnAllowList) {
  start({"198.51.100.66"}, {"192.0.2.0/24"});
  const Bytes sent = testing::udp_packet(kOwn4, "192.0.2.9", std::string(500, 'x'));
  auto error_from = [&](const char* router) {
    Bytes icmp = {3, 4, 0, 0, 0, 0, 2, 88};
    append(icmp, ByteView(sent).first(28));
    return testing::ip_packet(router, kOwn4, inet::ip_protocol::kIcmp, icmp);
  };
  send_to_client(error_from("198.51.100.66"));
  EXPECT_TRUE(become(Drop::source_blocked, 1));
  const Bytes error = error_from("198.51.100.1");
  send_to_client(error);
  EXPECT_EQ(read_packet(*tunnel_), error);
}

TEST(DestinationLists, AWrongEntryIsAnErrorWithItsPathAtCreateAndInTheConfiguration) {
  RunningServer server{ServerSetup()};
  registry::ClientSpec spec;
  spec.id = "alice";
  spec.security.destination_allow_list = {"10.0.0.0/8", "nowhere"};
  auto made = server.server->client_create(spec);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().path, "/security/destination_allow_list/1");
}

}  // namespace
}  // namespace smartvpn::testing_support
