// Several queues of one kernel device, and who reads what. Needs CAP_NET_ADMIN and CAP_SYS_ADMIN; skipped without.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "forward/tun/tun_engine.hpp"
#include "forward/tun/tun_queue_engine.hpp"
#include "forward/tun/tun_steering.hpp"
#include "support/engine_sink.hpp"
#include "support/inner_packets.hpp"
#include "support/shell.hpp"
#include "support/tun_end.hpp"

namespace smartvpn::forward {
namespace {

using testing::inner;
using testing::make_loop;
using testing::run_until;
using testing::several_queues;
using testing::TunEnd;

bool has_packet_to(const std::vector<Packet>& packets, const char* to) {
  return std::any_of(packets.begin(), packets.end(), [to](const Packet& packet) {
    inet::InnerPacket info;
    return inet::classify(packet.bytes(), info) == Drop::none && info.dst == *inet::IpAddress::parse(to);
  });
}

// One device, three queues.
struct Queues {
  std::unique_ptr<net::Loop> loop = make_loop();
  std::array<TunEnd, 3> ends;
  void open() {
    ends[0].open(*loop, several_queues());
    if (::testing::Test::HasFatalFailure()) return;
    ASSERT_TRUE(ends[0].device->apply(inner()).ok());
    for (size_t i = 1; i < ends.size(); ++i) {
      auto options = ends[0].device->another_queue();
      ASSERT_TRUE(options);
      ends[i].open(*loop, *options);
      if (::testing::Test::HasFatalFailure()) return;
      ends[i].device->start_reading();
    }
  }
  // Which queue gets what this host sends to that address; -1: none, in time.
  int queue_for(const char* to) {
    const auto destination = *inet::IpAddress::parse(to);
    net::Fd udp(socket(destination.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    auto address = net::to_socket_address({destination, 53});
    EXPECT_EQ(sendto(udp.get(), "question", 8, 0, address.get(), address.size), 8);
    int found = -1;
    run_until(*loop, [&] {
      for (size_t i = 0; i < ends.size(); ++i)
        if (has_packet_to(ends[i].recorder.packets, to)) found = static_cast<int>(i);
      return found >= 0;
    });
    for (TunEnd& end : ends) end.recorder.packets.clear();
    return found;
  }
};

TEST(TunQueues, EachReadsAndWritesAndAnswersComeToTheOneThatAsked) {
  IN_NEW_NAMESPACE([] {
    Queues queues;
    queues.open();
    if (::testing::Test::HasFatalFailure()) return;
    for (size_t asking : {2, 0, 1}) {
      EXPECT_EQ(queues.ends[asking].device->index(), queues.ends[0].device->index());
      EXPECT_EQ(queues.ends[asking].device->has_offload(), queues.ends[0].device->has_offload());
      EXPECT_EQ(queues.ends[asking].device->has_udp_offload(), queues.ends[0].device->has_udp_offload());
      const Bytes ping = testing::echo_request("10.8.0.5", "10.8.0.1");
      // The kernel learns who has asked only after it has answered, so the first answer may go where the last one went.
      size_t answered = queues.ends.size();
      for (int round = 0; round < 2; ++round) {
        answered = queues.ends.size();
        queues.ends[asking].write(ping);
        ASSERT_TRUE(run_until(*queues.loop, [&] {
          for (size_t i = 0; i < queues.ends.size(); ++i)
            if (has_packet_to(queues.ends[i].recorder.packets, "10.8.0.5")) answered = i;
          return answered < queues.ends.size();
        }));
        for (TunEnd& end : queues.ends) end.recorder.packets.clear();
      }
      EXPECT_EQ(answered, asking);
    }
  });
}

TEST(TunQueues, FurtherOnesMayCloseAndTheDeviceStaysAsItWas) {
  IN_NEW_NAMESPACE([] {
    Queues queues;
    queues.open();
    if (::testing::Test::HasFatalFailure()) return;
    const std::string name = queues.ends[0].device->name();
    queues.ends[1].device.reset();
    queues.ends[2].device.reset();
    queues.ends[0].answer_pings();
    testing::ping_once(*queues.loop, {*inet::IpAddress::parse("10.8.0.77"), 0}, 0);
    queues.ends[0].device.reset();
    EXPECT_EQ(if_nametoindex(name.c_str()), 0u);
  });
}

TEST(TunQueues, DeviceOpenedForOneHasNoFurtherOnes) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    TunEnd end;
    end.open(*loop);
    EXPECT_FALSE(end.device->another_queue());
  });
}

// A device that somebody has made beforehand, for a number of queues that we did not choose.
void make_persistent(const char* name, int flags) {
  net::Fd tun(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | flags);
  ASSERT_EQ(ioctl(tun.get(), TUNSETIFF, &request), 0);
  ASSERT_EQ(ioctl(tun.get(), TUNSETPERSIST, 1), 0);
}

TEST(TunQueues, DeviceThatIsThereIsTakenWithTheQueuesItWasMadeFor) {
  for (bool made_for_several : {true, false})
    for (bool wanted : {true, false})
      IN_NEW_NAMESPACE([made_for_several, wanted] {
        make_persistent("svpnq0", made_for_several ? IFF_MULTI_QUEUE : 0);
        if (::testing::Test::HasFatalFailure()) return;
        auto loop = make_loop();
        TunEnd end;
        TunOptions options;
        options.name = "svpnq0";
        options.multi_queue = wanted;
        end.open(*loop, options);
        if (::testing::Test::HasFatalFailure()) return;
        EXPECT_EQ(end.device->another_queue().has_value(), made_for_several);
        EXPECT_TRUE(end.device->has_offload());
        ASSERT_TRUE(end.device->apply(inner()).ok());
        end.answer_pings();
        testing::ping_once(*loop, {*inet::IpAddress::parse("10.8.0.77"), 0}, 0);
      });
}

TEST(TunQueues, LentDeviceMadeForSeveralHasFurtherOnes) {
  IN_NEW_NAMESPACE([] {
    net::Fd host(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    ifreq request{};
    request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
    ASSERT_EQ(ioctl(host.get(), TUNSETIFF, &request), 0);
    int size = 12;
    ASSERT_EQ(ioctl(host.get(), TUNSETVNETHDRSZ, &size), 0);
    auto loop = make_loop();
    TunEnd first, second;
    TunOptions options;
    options.fd = host.get();
    first.open(*loop, options);
    if (::testing::Test::HasFatalFailure()) return;
    auto another = first.device->another_queue();
    ASSERT_TRUE(another);
    EXPECT_EQ(another->queue_of.virtio_size, 12u);
    second.open(*loop, *another);
    if (::testing::Test::HasFatalFailure()) return;
    EXPECT_TRUE(second.device->has_offload());
  });
}

TEST(TunQueues, QueueOfADeviceThatIsGoneIsRefusedAndMakesNone) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    TunEnd first, second;
    first.open(*loop, several_queues());
    if (::testing::Test::HasFatalFailure()) return;
    auto options = first.device->another_queue();
    ASSERT_TRUE(options);
    first.device.reset();
    auto result = TunDevice::open(*loop, *options, second.pool, second.recorder);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().system_errno, ENODEV);
    // Another one has taken the name.
    first.open(*loop, several_queues());
    if (::testing::Test::HasFatalFailure()) return;
    options->name = first.device->name();
    EXPECT_EQ(TunDevice::open(*loop, *options, second.pool, second.recorder).error().system_errno, ENODEV);
    EXPECT_NE(if_nametoindex(first.device->name().c_str()), 0u);
  });
}

TEST(TunQueues, AllOfThemLearnThatTheDeviceWasDeleted) {
  IN_NEW_NAMESPACE([] {
    Queues queues;
    queues.open();
    if (::testing::Test::HasFatalFailure()) return;
    ASSERT_EQ(testing::shell("ip link delete " + queues.ends[0].device->name() + " 2>&1").exit_code, 0);
    EXPECT_TRUE(run_until(*queues.loop, [&] {
      for (TunEnd& end : queues.ends)
        if (end.recorder.failures.empty()) return false;
      return true;
    }));
    EXPECT_FALSE(queues.ends[1].device->another_queue());
  });
}

std::unique_ptr<TunSteering> make_steering(Queues& queues) {
  auto steering = TunSteering::create(*queues.loop, 3);
  EXPECT_TRUE(steering.ok()) << steering.error().text;
  return steering.ok() ? std::move(*steering) : nullptr;
}

TEST(TunSteering, PacketsComeToTheQueueOfTheirDestination) {
  IN_NEW_NAMESPACE([] {
    Queues queues;
    queues.open();
    if (::testing::Test::HasFatalFailure()) return;
    auto steering = make_steering(queues);
    ASSERT_TRUE(steering);
    ASSERT_TRUE(queues.ends[1].device->steer_by(*steering).ok());
    const auto ip = [](const char* text) { return *inet::IpAddress::parse(text); };
    EXPECT_TRUE(steering->set(ip("10.8.0.5"), 1).ok());
    EXPECT_TRUE(steering->set(ip("10.8.0.6"), 2).ok());
    EXPECT_TRUE(steering->set(ip("fd00:8::6"), 2).ok());
    EXPECT_TRUE(steering->set(*inet::Cidr::parse("10.8.0.128/25"), 1).ok());
    EXPECT_TRUE(steering->set(ip("10.8.0.200"), 2).ok());
    EXPECT_TRUE(steering->set(*inet::Cidr::parse("fd00:8::ff00/120"), 1).ok());
    EXPECT_EQ(queues.queue_for("10.8.0.5"), 1);
    EXPECT_EQ(queues.queue_for("10.8.0.6"), 2);
    EXPECT_EQ(queues.queue_for("10.8.0.7"), 0);
    EXPECT_EQ(queues.queue_for("10.8.0.199"), 1);
    EXPECT_EQ(queues.queue_for("10.8.0.200"), 2);
    EXPECT_EQ(queues.queue_for("fd00:8::6"), 2);
    EXPECT_EQ(queues.queue_for("fd00:8::7"), 0);
    EXPECT_EQ(queues.queue_for("fd00:8::ff07"), 1);
    EXPECT_TRUE(steering->set(ip("10.8.0.5"), 2).ok());
    steering->erase(ip("10.8.0.6"));
    steering->erase(ip("10.8.0.99"));
    EXPECT_EQ(queues.queue_for("10.8.0.5"), 2);
    EXPECT_EQ(queues.queue_for("10.8.0.6"), 0);
    steering.reset();
    EXPECT_EQ(queues.queue_for("10.8.0.5"), 2) << "what the device has stays with it";
  });
}

TEST(TunSteering, RefusesWhatIsNoQueueAndNoDevice) {
  IN_NEW_NAMESPACE([] {
    Queues queues;
    queues.open();
    if (::testing::Test::HasFatalFailure()) return;
    EXPECT_EQ(TunSteering::create(*queues.loop, 0).error().status, Status::INVALID);
    const size_t descriptors = queues.loop->descriptors().size();
    auto steering = make_steering(queues);
    ASSERT_TRUE(steering);
    EXPECT_EQ(queues.loop->descriptors().size(), descriptors + 2);
    EXPECT_EQ(steering->set(*inet::IpAddress::parse("10.8.0.5"), 3).error().status, Status::INVALID);
    net::Fd file(open("/dev/null", O_RDWR | O_CLOEXEC));
    EXPECT_EQ(steering->attach(file.get()).error().status, Status::SYSTEM);
    steering.reset();
    EXPECT_EQ(queues.loop->descriptors().size(), descriptors);
  });
}

// Two shards: one owns the device, the other has a queue of it.
struct TwoShards {
  std::unique_ptr<net::Loop> loop = make_loop();
  testing::RecordingSink first_sink, second_sink;
  TunEngine first{*loop, several_queues()};
  std::unique_ptr<TunQueueEngine> second;
  EngineNetwork network;
  void start() {
    network.subnets = testing::cidrs({"10.8.0.0/24"});
    network.gateways = {*inet::IpAddress::parse("10.8.0.1")};
    ASSERT_FALSE(first.another_queue());
    ASSERT_TRUE(first.start(network, first_sink).ok());
    auto queue = first.another_queue();
    ASSERT_TRUE(queue);
    second = std::make_unique<TunQueueEngine>(*loop, *queue);
    auto started = second->start(network, second_sink);
    ASSERT_TRUE(started.ok()) << started.error().text;
  }
  // A ping from the second shard's client, whose answer comes to `where`.
  bool answered(testing::RecordingSink& where) {
    const Bytes ping = testing::echo_request("10.8.0.6", "10.8.0.1");
    const PacketView view{ping, 0, 1};
    where.packets.clear();
    second->write({&view, 1});
    return run_until(*loop, [&] { return has_packet_to(where.packets, "10.8.0.6"); });
  }
};

TEST(TunQueueEngine, ServesAShardByAQueueOfAnotherShardsDevice) {
  IN_NEW_NAMESPACE([] {
    TwoShards shards;
    shards.start();
    if (::testing::Test::HasFatalFailure()) return;
    EXPECT_EQ(shards.second->device_name(), shards.first.device_name());
    EXPECT_EQ(shards.second->takes_super_packets(), shards.first.takes_super_packets());
    auto steering = TunSteering::create(*shards.loop, 2);
    ASSERT_TRUE(steering.ok()) << steering.error().text;
    ASSERT_TRUE(shards.first.steer_by(**steering).ok());
    ASSERT_TRUE((*steering)->set(*inet::IpAddress::parse("10.8.0.6"), 1).ok());
    EXPECT_TRUE(shards.answered(shards.second_sink));
    (*steering)->erase(*inet::IpAddress::parse("10.8.0.6"));
    EXPECT_TRUE(shards.answered(shards.first_sink));
    shards.second->stop();
    const std::string name = shards.first.device_name();
    shards.first.stop();
    EXPECT_EQ(if_nametoindex(name.c_str()), 0u);
  });
}

TEST(TunQueueEngine, TakesTheQueueThatTheOwnerHasOpenedInTheOrderOfTheirNumbers) {
  IN_NEW_NAMESPACE([] {
    TwoShards shards;
    EXPECT_EQ(shards.first.open_queues(1).error().status, Status::BAD_STATE);
    shards.start();
    if (::testing::Test::HasFatalFailure()) return;
    auto queues = shards.first.open_queues(2);  // 2 and 3; the second shard has 1
    ASSERT_TRUE(queues.ok()) << queues.error().text;
    testing::RecordingSink sinks[2];
    std::vector<std::unique_ptr<TunQueueEngine>> engines;
    for (size_t i : {1, 0}) {  // whoever comes first
      engines.push_back(std::make_unique<TunQueueEngine>(*shards.loop, (*queues)[i].options));
      ASSERT_TRUE(engines.back()->start(shards.network, sinks[i]).ok());
    }
    queues->clear();
    auto steering = TunSteering::create(*shards.loop, 4);
    ASSERT_TRUE(steering.ok()) << steering.error().text;
    ASSERT_TRUE(shards.first.steer_by(**steering).ok());
    for (unsigned i : {0, 1}) {
      ASSERT_TRUE((*steering)->set(*inet::IpAddress::parse("10.8.0.6"), i + 2).ok());
      EXPECT_TRUE(shards.answered(sinks[i])) << i;
    }
  });
}

TEST(TunQueueEngine, JoinsTheDeviceThatWasMadeAnew) {
  IN_NEW_NAMESPACE([] {
    TwoShards shards;
    shards.start();
    if (::testing::Test::HasFatalFailure()) return;
    const auto before = *shards.first.another_queue();
    ASSERT_EQ(testing::shell("ip link delete " + shards.first.device_name() + " 2>&1").exit_code, 0);
    ASSERT_TRUE(run_until(
        *shards.loop, [&] { return !shards.first_sink.recoveries.empty() && !shards.second_sink.failures.empty(); }));
    EXPECT_EQ(shards.second_sink.failures.size(), 1u);
    EXPECT_FALSE(shards.second->rejoin(before).ok()) << "the old device";
    const Bytes ping = testing::echo_request("10.8.0.6", "10.8.0.1");
    const PacketView view{ping, 0, 1};
    shards.second->write({&view, 1});
    EXPECT_EQ(shards.second_sink.drops[Drop::engine_failed], 1u);
    auto queue = shards.first.another_queue();
    ASSERT_TRUE(queue);
    ASSERT_TRUE(shards.second->rejoin(*queue).ok());
    EXPECT_EQ(shards.second_sink.recoveries.size(), 1u);
    auto steering = TunSteering::create(*shards.loop, 2);
    ASSERT_TRUE(steering.ok()) << steering.error().text;
    ASSERT_TRUE(shards.first.steer_by(**steering).ok());
    ASSERT_TRUE((*steering)->set(*inet::IpAddress::parse("10.8.0.6"), 1).ok());
    EXPECT_TRUE(shards.answered(shards.second_sink));
  });
}

// Of the calling thread alone, which ends with the test.
bool drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  return syscall(SYS_capset, &header, none) == 0;
}

TEST(TunSteering, WithoutPrivilegeItIsAnErrorAndTheDeviceWorksOn) {
  IN_NEW_NAMESPACE([] {
    Queues queues;
    queues.open();
    if (::testing::Test::HasFatalFailure()) return;
    ASSERT_TRUE(drop_capabilities());
    auto result = TunSteering::create(*queues.loop, 3);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().status, Status::SYSTEM);
    EXPECT_EQ(result.error().system_errno, EPERM);
    EXPECT_GE(queues.queue_for("10.8.0.5"), 0);
  });
}

}  // namespace
}  // namespace smartvpn::forward
