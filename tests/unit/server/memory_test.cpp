// `limits.memory_bytes`: clients that never read take their part and no more, whoever comes too late is
// refused, and those who are there go on.
#include "server/memory_guard.hpp"
#include "support/inner_packets.hpp"
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

TEST(MemoryGuard, CountsConnectionsSessionsEventsAndPackets) {
  PacketPool pool;
  server::MemoryGuard guard(1000000, false, pool);
  EXPECT_EQ(guard.taken(), 0u);
  guard.set_connections(10);
  guard.set_sessions(5);
  guard.set_events(3);
  const uint64_t others =
      10 * server::MemoryGuard::kConnection + 5 * server::MemoryGuard::kSession + 3 * server::MemoryGuard::kEvent;
  EXPECT_EQ(guard.taken(), others);
  EXPECT_EQ(pool.room(), 1000000 - others);
  Packet packet = pool.take(1000);
  EXPECT_EQ(guard.taken(), others + packet.capacity());
}

TEST(MemoryGuard, PacketsFindNoMoreMemoryAtTheCeiling) {
  PacketPool pool;
  server::MemoryGuard guard(1000000, false, pool);
  std::vector<Packet> packets;
  while (Packet packet = pool.take(60000)) packets.push_back(std::move(packet));
  while (Packet packet = pool.take(1000)) packets.push_back(std::move(packet));
  EXPECT_LE(guard.taken(), 1000000u);
  EXPECT_GT(guard.taken(), 990000u);
  EXPECT_TRUE(guard.is_full());
  // Free blocks of one size make way for the other.
  packets.clear();
  EXPECT_FALSE(guard.is_tight());
  for (int i = 0; i < 400; ++i) packets.push_back(pool.take(1000));
  EXPECT_TRUE(packets.back());
  EXPECT_LE(guard.taken(), 1000000u);
}

// Where addresses have 32 bits, 4 GiB are not none.
TEST(MemoryGuard, ACeilingNoProcessorReachesIsStillOne) {
  PacketPool pool;
  server::MemoryGuard guard(uint64_t{1} << 32, false, pool);
  EXPECT_TRUE(pool.take(60000));
  guard.set_ceiling(uint64_t{1} << 33);
  EXPECT_TRUE(pool.take(60000));
  guard.set_connections(1000000);
  EXPECT_EQ(guard.taken(), 1000000 * server::MemoryGuard::kConnection + pool.bytes_held());
}

TEST(MemoryGuard, TightComesBeforeFullAndWithoutACeilingNeither) {
  PacketPool pool, unbounded;
  server::MemoryGuard guard(1000000, true, pool), none(0, true, unbounded);
  const uint64_t connection = server::MemoryGuard::kConnection + server::MemoryGuard::kTls;
  guard.set_connections(900000 / connection + 1);
  none.set_connections(1000000);
  EXPECT_TRUE(guard.is_tight());
  EXPECT_FALSE(guard.is_full());
  guard.set_connections(1000000 / connection);
  EXPECT_TRUE(guard.is_full());
  EXPECT_FALSE(none.is_tight());
  EXPECT_FALSE(none.is_full());
  EXPECT_TRUE(unbounded.take(60000));
  // The ceiling can change under it.
  none.set_ceiling(1000000);
  EXPECT_TRUE(none.is_full());
  EXPECT_FALSE(unbounded.take(60000));
  none.set_ceiling(0);
  EXPECT_TRUE(unbounded.take(60000));
}

TEST(MemoryGuard, StrangersFindItFullAtHalfOfTheCeiling) {
  PacketPool pool;
  server::MemoryGuard guard(1000000, false, pool);
  const size_t half = 500000 / server::MemoryGuard::kConnection;
  guard.set_connections(half - 1);
  guard.set_strangers(half - 1);
  EXPECT_FALSE(guard.is_full_for_strangers());
  guard.set_connections(half);
  guard.set_strangers(half);
  EXPECT_TRUE(guard.is_full_for_strangers());
  EXPECT_FALSE(guard.is_full());
  EXPECT_GT(pool.room(), 490000u);
  guard.set_strangers(half - 1);  // one has become a session
  EXPECT_FALSE(guard.is_full_for_strangers());
}

constexpr uint64_t kCeiling = 4 << 20;

ServerSetup small_server(uint64_t ceiling = kCeiling) {
  ServerSetup setup;
  setup.mode = "host";
  setup.subnets = R"("10.8.0.0/16")";
  setup.extra = R"(,"limits":{"memory_bytes":)" + std::to_string(ceiling) + "}" +
                R"(,"security":{"max_connections_per_ip":100000,"new_connections_per_ip_per_minute":1000000})";
  return setup;
}

// Packets to all of 10.8.0.2.., as many as the engine's ring takes.
void flood(RunningServer& server, int clients) {
  for (int i = 0; i < clients; ++i) {
    const Bytes packet = testing::udp_packet("192.0.2.1", "10.8.0." + std::to_string(2 + i), std::string(1300, 'x'));
    forward::HostPacket meta;
    meta.length = static_cast<uint32_t>(packet.size());
    (void)server.server->packets_write(packet, {&meta, 1}).ok();
  }
}

TEST(MemoryCeiling, ClientsThatNeverReadStayUnderItAndOthersGoOn) {
  RunningServer server{small_server()};
  constexpr int kSleepers = 24;
  std::vector<std::unique_ptr<WireClient>> sleepers;
  for (int i = 0; i < kSleepers; ++i) {
    const std::string json = server.create_client("sleeper" + std::to_string(i));
    sleepers.push_back(std::make_unique<WireClient>(RawSocket(server.port()), server.public_key_, key_of(json)));
    ASSERT_TRUE(sleepers.back()->connect());
  }
  auto awake = connect(client_config(server.create_client("awake"), "host"));
  ASSERT_TRUE(awake);
  const std::string own = address_v4(*awake).text();
  // Until the sockets are full and the queues at their bounds.
  uint64_t highest = 0;
  auto dropped = [&] { return stats_of(server).total.traffic.drops[static_cast<size_t>(Drop::queue_full)]; };
  ASSERT_TRUE(eventually([&] {
    for (int i = 0; i < 50; ++i) flood(server, kSleepers);
    highest = std::max(highest, stats_of(server).memory_bytes);
    return dropped() > 2000;
  }));
  EXPECT_LE(highest, kCeiling);
  EXPECT_GT(highest, kCeiling / 2);
  EXPECT_EQ(stats_of(server).memory_limit_bytes, kCeiling);
  EXPECT_EQ(sessions_of(server).size(), kSleepers + 1u);
  const Bytes packet = testing::udp_packet("192.0.2.1", own, "still there");
  ASSERT_TRUE(eventually([&] {
    forward::HostPacket meta;
    meta.length = static_cast<uint32_t>(packet.size());
    (void)server.server->packets_write(packet, {&meta, 1}).ok();
    return read_packet(*awake, 200) == packet;
  }));
  EXPECT_LE(stats_of(server).memory_bytes, kCeiling);
}

TEST(MemoryCeiling, AConnectionTooManyIsRefusedAndThereIsRoomAgainAfterwards) {
  RunningServer server{small_server()};
  std::vector<RawSocket> open;
  ASSERT_TRUE(eventually([&] {
    open.emplace_back(server.port());
    return rejections(server, Reason::out_of_memory) > 0;
  }));
  EXPECT_LE(stats_of(server).memory_bytes, kCeiling * 3 / 4) << "the rest is for sessions";
  EXPECT_GE(open.size(), 100u);
  open.clear();
  ASSERT_TRUE(becomes_idle(server));
  RawSocket again(server.port());
  EXPECT_EQ(ask(again, kHealthRequest), "HTTP/1.1 200 OK");
}

TEST(MemoryCeiling, FromNinetyPercentOnUnimportantClientsAreRefusedAndOthersNot) {
  constexpr uint64_t kFew = kCeiling / 2;  // or making the sessions takes longer than they live
  RunningServer server{small_server(kFew)};
  registry::ClientSpec spec;
  spec.id = "guest";
  spec.priority = 101;
  const std::string guest = server.create_client(spec);
  const std::string ordinary = server.create_client("ordinary");
  std::vector<std::unique_ptr<WireClient>> open;
  ASSERT_TRUE(eventually([&] {
    SecretKey key = key_of(server.create_client("client" + std::to_string(open.size())));
    open.push_back(std::make_unique<WireClient>(RawSocket(server.port()), server.public_key_, std::move(key)));
    return open.back()->connect() && stats_of(server).memory_bytes > kFew * 92 / 100;
  }));
  auto tunnel = make_tunnel(client_config(guest, "host"));
  ASSERT_TRUE(tunnel->start());
  auto event = server.wait(telemetry::EventType::connection_rejected);
  ASSERT_TRUE(event);
  EXPECT_STREQ(event->text("reason"), "too_many_sessions");
  EXPECT_TRUE(connect(client_config(ordinary, "host")));
  open.clear();
  EXPECT_TRUE(tunnel->wait_connected(kWaitMs));
}

}  // namespace
}  // namespace smartvpn::testing_support
