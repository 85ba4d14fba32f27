// The engine of the shards that do not own it: by ring, and by a queue of the device where there is one. Needs
// CAP_NET_ADMIN and CAP_SYS_ADMIN; what is about queues is skipped without.
#include "server/queue_engine.hpp"

#include <net/if.h>

#include <algorithm>

#include "forward/tun/tun_steering.hpp"
#include "support/engine_sink.hpp"
#include "support/inner_packets.hpp"
#include "support/shell.hpp"
#include "support/tun_end.hpp"
#include "support/vpn_pair.hpp"

namespace smartvpn::server {
namespace {

using testing::RecordingSink;
using testing::run_until;

// The first shard's device, and the second shard.
struct TwoShards {
  std::unique_ptr<Control> control = make_control();
  Crossing crossing{*control};
  Crossing::End first_end{crossing, 0}, second_end{crossing, 1};
  std::unique_ptr<net::Loop> loop = testing::make_loop();
  RecordingSink first_sink, second_sink;
  std::unique_ptr<const forward::TunSteering> steering = *forward::TunSteering::create(*loop, 2);
  forward::TunEngine device{*loop, testing::several_queues()};
  QueueEngine engine{*loop, second_end, true};

  static std::unique_ptr<Control> make_control() {
    auto plan = make_plan(*config::parse_server_config(testing_support::ServerSetup().json()));
    return *Control::create(*plan, 2);
  }
  void start() {
    forward::EngineNetwork network;
    network.subnets = testing::cidrs({"10.8.0.0/24"});
    network.gateways = {*inet::IpAddress::parse("10.8.0.1")};
    ASSERT_TRUE(device.start(network, first_sink).ok());
    ASSERT_TRUE(engine.start(network, second_sink).ok());
    ASSERT_TRUE(steering->set(*inet::IpAddress::parse("10.8.0.6"), 1).ok());
  }
  Result<void> join() {
    auto queues = device.open_queues(1);
    if (!queues) return queues.error();
    if (auto steered = device.steer_by(*steering); !steered) return steered;
    return engine.join(queues->front().options);
  }
  void write(ByteView packet) {
    const PacketView view{packet, 0, 3};
    engine.write({&view, 1});
    second_end.publish();  // as at the end of a turn
  }
  // A ping from the second shard's client is answered by the kernel, without the first.
  bool answered() {
    second_sink.packets.clear();
    write(testing::echo_request("10.8.0.6", "10.8.0.1"));
    return run_until(*loop, [&] { return !second_sink.packets.empty(); });
  }
  size_t went_by_ring() {
    size_t count = 0;
    first_end.drain(
        100, [&](const ShardRing::Record& record, ByteView) { count += record.to == Crossing::kToEngine; }, [] {});
    return count;
  }
};

TEST(QueueEngine, GoesByRingUntilItHasAQueueAndThenByThat) {
  IN_NEW_NAMESPACE([] {
    TwoShards shards;
    shards.start();
    if (::testing::Test::HasFatalFailure()) return;
    shards.write(testing::echo_request("10.8.0.6", "10.8.0.1"));
    EXPECT_EQ(shards.went_by_ring(), 1u);
    EXPECT_TRUE(shards.engine.takes_super_packets());
    auto joined = shards.join();
    ASSERT_TRUE(joined.ok()) << joined.error().text;
    EXPECT_TRUE(shards.engine.has_queue());
    EXPECT_TRUE(shards.answered());
    EXPECT_EQ(shards.went_by_ring(), 0u);
    EXPECT_EQ(shards.engine.takes_super_packets(), shards.device.takes_super_packets());
    const std::string name = shards.device.device_name();
    shards.device.stop();
    shards.engine.stop();
    EXPECT_EQ(if_nametoindex(name.c_str()), 0u);
  });
}

TEST(QueueEngine, GoesByRingWhileTheDeviceIsGoneAndByTheNewOnesQueueAfterwards) {
  IN_NEW_NAMESPACE([] {
    TwoShards shards;
    shards.start();
    if (::testing::Test::HasFatalFailure()) return;
    ASSERT_TRUE(shards.join().ok());
    ASSERT_EQ(testing::shell("ip link delete " + shards.device.device_name() + " 2>&1").exit_code, 0);
    ASSERT_TRUE(
        run_until(*shards.loop, [&] { return !shards.engine.has_queue() && !shards.first_sink.recoveries.empty(); }));
    EXPECT_TRUE(shards.second_sink.failures.empty()) << "that is the first shard's to say";
    shards.write(testing::echo_request("10.8.0.6", "10.8.0.1"));
    EXPECT_EQ(shards.went_by_ring(), 1u);
    ASSERT_TRUE(shards.join().ok());
    EXPECT_TRUE(shards.answered());
    EXPECT_EQ(shards.went_by_ring(), 0u);
  });
}

TEST(QueueEngine, StaysWithTheRingWhereTheQueueIsOfADeviceThatHasGone) {
  IN_NEW_NAMESPACE([] {
    TwoShards shards;
    shards.start();
    if (::testing::Test::HasFatalFailure()) return;
    auto queues = shards.device.open_queues(1);
    ASSERT_TRUE(queues.ok()) << queues.error().text;
    shards.device.stop();
    const std::string name = queues->front().options.name;
    queues->front().fd.reset();
    ASSERT_EQ(if_nametoindex(name.c_str()), 0u);
    EXPECT_FALSE(shards.engine.join(queues->front().options).ok());
    EXPECT_FALSE(shards.engine.has_queue());
    EXPECT_EQ(if_nametoindex(name.c_str()), 0u) << "it has not made another";
    shards.write(testing::echo_request("10.8.0.6", "10.8.0.1"));
    EXPECT_EQ(shards.went_by_ring(), 1u);
  });
}

}  // namespace
}  // namespace smartvpn::server
