// Under load, and in several shards: who has to prove where it is, and how a message that came to the wrong shard finds
// the right one.
#include <gtest/gtest.h>

#include <deque>

#include "support/wireguard_devices.hpp"

namespace smartvpn::testing {
namespace {

using wireguard::kCookieReplySize;
using wireguard::kInitiationSize;

// Initiations with a right mac1 and nothing behind it: what a flood that knows our public key looks like.
Bytes flood_message(const PublicKey& to, uint32_t number) {
  Bytes out(kInitiationSize);
  out[0] = 1;
  store_le32(out.data() + 4, number);
  wireguard::CookieGenerator(to).add_macs(out, monotonic_now());
  return out;
}

struct LoadedPair : DevicePair {
  LoadedPair() : DevicePair("127.0.0.1", true) {
    server.host.handshakes_left = 0;  // none is opened: they pile up
    for (uint32_t i = 0; i < 200; ++i) relay->to_server(flood_message(server.key, i), 0);
  }
  bool is_loaded() {
    return until([this] { return server.device.counters().cookie_replies_out > 0; });
  }
};

TEST(DeviceLoad, UnderLoadWhoComesGetsACookieAndNothingElse) {
  LoadedPair pair;
  ASSERT_TRUE(pair.is_loaded());
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().handshakes_in == 200; }));
  EXPECT_TRUE(pair.server.host.accepted.empty());
  pair.settle();
  ASSERT_FALSE(pair.relay->answers.empty());
  for (const Bytes& answer : pair.relay->answers) EXPECT_EQ(answer.size(), kCookieReplySize);
  EXPECT_EQ(pair.relay->answers.size(), pair.server.device.counters().cookie_replies_out);
}

TEST(DeviceLoad, AClientThatProvesWhereItIsGetsThrough) {
  LoadedPair pair;
  ASSERT_TRUE(pair.is_loaded());
  auto options = DeviceEnd::options_for(3);
  options.timing.rekey_timeout = milliseconds(20);
  options.timing.rekey_jitter = Duration{0};
  DeviceEnd client(*pair.loop, std::move(options));
  client.listen();
  pair.others = {&client};
  pair.server.know(client);
  client.know(pair.server, pair.at);
  client.send(DevicePair::packet(1));
  const uint64_t replies = pair.server.device.counters().cookie_replies_out;
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().cookie_replies_out > replies; }));
  // Its next initiation carries mac2, and is taken; now there is time for handshakes again.
  pair.server.host.handshakes_left = 1 << 20;
  EXPECT_TRUE(pair.until([&] { return pair.server.host.connected(); }));
}

TEST(DeviceLoad, ACookieReplySendsNothingAtOnce) {
  LoadedPair pair;
  ASSERT_TRUE(pair.is_loaded());
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.client.device.counters().initiations_out == 1; }));
  pair.settle();
  EXPECT_EQ(pair.client.device.counters().initiations_out, 1u);
}

TEST(DeviceLoad, WrongMac1IsSilenceWithLoadAndWithout) {
  DevicePair pair("127.0.0.1", true);
  Bytes wrong = flood_message(pair.server.key, 1);
  wrong[120] ^= 1;
  pair.relay->to_server(wrong, 0);
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().bad_mac1 == 1; }));
  pair.server.host.handshakes_left = 0;
  for (uint32_t i = 0; i < 200; ++i) pair.relay->to_server(flood_message(pair.server.key, i), 0);
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().handshakes_in == 200; }));
  pair.settle();
  const size_t answers = pair.relay->answers.size();
  pair.relay->to_server(wrong, 0);
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().bad_mac1 == 2; }));
  pair.settle();
  EXPECT_EQ(pair.relay->answers.size(), answers);
}

TEST(DeviceLoad, HandshakesWaitForTheTurnsShareAndAreBounded) {
  DevicePair pair("127.0.0.1", true);
  pair.server.host.handshakes_left = 0;
  pair.relay->to_server(flood_message(pair.server.key, 1), 0);
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().handshakes_in == 1; }));
  pair.settle();
  EXPECT_EQ(pair.server.device.counters().malformed, 0u);  // not opened yet
  pair.server.host.handshakes_left = 1;
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().malformed == 1; }));
}

TEST(DeviceLoad, ASessionsDataIsNotHeldUpByAFlood) {
  DevicePair pair("127.0.0.1", true);
  ASSERT_TRUE(pair.connect());
  pair.server.host.handshakes_left = 0;
  for (uint32_t i = 0; i < 200; ++i) pair.relay->to_server(flood_message(pair.server.key, i), 0);
  EXPECT_TRUE(pair.client_says(DevicePair::packet(1)));
  EXPECT_TRUE(pair.server_says(DevicePair::answer(1)));
}

// Two shards of a server. Their sockets do not share a port here, so that the test says which one a message comes to.
struct ShardedPair {
  static wireguard::DeviceOptions shard_options(unsigned shard) {
    auto options = DeviceEnd::options_for(1);
    options.shard = shard;
    options.shards = 2;
    return options;
  }
  ShardedPair() : first(*loop, shard_options(0)), second(*loop, shard_options(1)) {
    for (DeviceEnd* shard : {&first, &second}) {
      at.push_back(shard->listen());
      shard->device.on_stray([this](unsigned to, const wireguard::StrayNote& note, ByteView message) {
        strays.emplace_back(to, wireguard::Stray{note, pool.copy_of(message)});
      });
    }
    loop->set_turn_hook([this] {
      while (!strays.empty()) {
        auto [to, stray] = std::move(strays.front());
        strays.pop_front();
        ++handed_over;
        (to == 0 ? first : second).device.take_strays({&stray, 1});
      }
      for (DeviceEnd* end : {&first, &second, client.get()})
        if (end) end->device.flush();
    });
  }
  ~ShardedPair() { loop->set_turn_hook({}); }
  // A client whose home is that shard, and who writes to the other.
  void make_client_of(unsigned home) {
    for (uint8_t seed = 10; !client; ++seed) {
      auto options = DeviceEnd::options_for(seed);
      if (wireguard::home_of(options.identity->key.pub, 2) != home) continue;
      client = std::make_unique<DeviceEnd>(*loop, std::move(options));
    }
    client->listen();
    (home == 0 ? first : second).know(*client);
    client->know(first, at[1 - home]);
  }

  std::unique_ptr<net::Loop> loop = make_loop();
  DeviceEnd first, second;
  std::unique_ptr<DeviceEnd> client;
  std::vector<inet::Endpoint> at;
  PacketPool pool;
  std::deque<std::pair<unsigned, wireguard::Stray>> strays;
  size_t handed_over = 0;
};

TEST(DeviceShards, WhatComesToTheWrongShardIsHandedOver) {
  for (unsigned home : {0u, 1u}) {
    ShardedPair pair;
    pair.make_client_of(home);
    DeviceEnd& owner = home == 0 ? pair.first : pair.second;
    DeviceEnd& other = home == 0 ? pair.second : pair.first;
    pair.client->send(DevicePair::packet(1));
    ASSERT_TRUE(run_until(*pair.loop, [&] { return owner.host.packets.size() == 1; }));
    EXPECT_EQ(owner.host.packets[0], DevicePair::packet(1));
    EXPECT_EQ(pair.handed_over, 2u);  // the initiation, and the data by its index
    EXPECT_TRUE(other.host.accepted.empty());
    EXPECT_EQ(owner.host.confirmed.at(0).peer_addr, owner.figures().endpoint);
  }
}

TEST(DeviceShards, WithoutAnybodyToTakeThemStraysAreCounted) {
  ShardedPair pair;
  pair.make_client_of(0);
  pair.second.device.on_stray(nullptr);
  pair.client->send(DevicePair::packet(1));
  ASSERT_TRUE(run_until(*pair.loop, [&] { return pair.second.device.counters().unknown_index == 1; }));
  EXPECT_EQ(pair.handed_over, 0u);
}

TEST(DeviceShards, HomesAreSpreadAndOneShardIsEverybodys) {
  std::array<int, 4> count{};
  for (uint8_t seed = 1; seed < 200; ++seed)
    ++count[wireguard::home_of(DeviceEnd::options_for(seed).identity->key.pub, 4)];
  for (int clients : count) EXPECT_GT(clients, 20);
  EXPECT_EQ(wireguard::home_of(PublicKey{}, 1), 0u);
}

}  // namespace
}  // namespace smartvpn::testing
