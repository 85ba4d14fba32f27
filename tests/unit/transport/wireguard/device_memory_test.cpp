// What the carrier takes of memory: so much a peer, and nothing for a packet. A counting operator new stands guard, and
// can be told to fail.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <new>

#include "support/wireguard_devices.hpp"

// Sanitizers have an allocator of their own; gcc and clang tell differently that one is there.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SMARTVPN_WIREGUARD_SANITIZED 1
#endif
#endif
#if !defined(SMARTVPN_WIREGUARD_SANITIZED) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {
size_t device_allocations = 0, device_bytes = 0;
long device_fails_after = -1;  // -1: never; else so many succeed, and the next one fails
size_t device_failed = 0;
}  // namespace

void* operator new(size_t size) {
  if (device_fails_after == 0) {
    device_fails_after = -1;
    ++device_failed;
    throw std::bad_alloc();
  }
  if (device_fails_after > 0) --device_fails_after;
  ++device_allocations;
  void* p = std::malloc(size);
  if (!p) throw std::bad_alloc();
  device_bytes += malloc_usable_size(p) + sizeof(size_t);  // with what the allocator keeps in front
  return p;
}
void operator delete(void* p) noexcept {
  if (p) device_bytes -= malloc_usable_size(p) + sizeof(size_t);
  std::free(p);
}
void operator delete(void* p, size_t) noexcept { operator delete(p); }

namespace smartvpn::testing {
namespace {

TEST(DeviceMemory, NothingIsAllocatedForAPacketOnceWarm) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  pair.server.host.keep_packets = pair.client.host.keep_packets = false;
  const Bytes small = DevicePair::packet(1), large = DevicePair::answer(2, 1300);
  size_t target = pair.server.host.packets_seen;
  auto round = [&] {
    for (int i = 0; i < 30; ++i) {
      pair.client.send(small);
      pair.server.send(large);
    }
    target += 30;
    bool done = false;
    for (int turn = 0; turn < 10000 && !done; ++turn) {
      pair.loop->run_turn();
      done = pair.server.host.packets_seen >= target && pair.client.host.packets_seen >= target - 1;
    }
    return done;
  };
  pair.client.host.packets_seen = pair.server.host.packets_seen - 1;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(round());
  const size_t before = device_allocations;
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(round());
  EXPECT_EQ(device_allocations, before);
}

constexpr size_t kPeers = 10000;

TEST(DeviceMemory, AConfiguredPeerTakesAtMostAKibibyte) {
  auto loop = make_loop();
  DeviceEnd server(*loop, 1);
  const size_t before = device_bytes;
  for (uint64_t i = 1; i <= kPeers; ++i) {
    wireguard::PeerSettings peer;
    store_le64(peer.key.data(), i * 0x9e3779b97f4a7c15);
    peer.client_number = i;
    server.device.set_peer(peer);
  }
  EXPECT_EQ(server.device.peers(), kPeers);
  const size_t each = (device_bytes - before) / kPeers;
  RecordProperty("bytes", static_cast<int>(each));
  EXPECT_LE(each, 1024u);
}

TEST(DeviceMemory, ALivePeerTakesAtMostFourKibibytes) {
  auto loop = make_loop();
  DeviceEnd server(*loop, 1);
  const inet::Endpoint at = server.listen();
  constexpr uint8_t kLive = 40;
  std::vector<std::unique_ptr<DeviceEnd>> clients;
  for (uint8_t i = 0; i < kLive; ++i) {
    auto& client = clients.emplace_back(std::make_unique<DeviceEnd>(*loop, static_cast<uint8_t>(100 + i)));
    client->listen();
    client->know(server, at);
  }
  server.host.keep_packets = false;
  loop->set_turn_hook([&] {
    server.device.flush();
    for (auto& client : clients) client->device.flush();
  });
  uint64_t number = 0;
  for (auto& client : clients) {
    wireguard::PeerSettings peer;
    peer.key = client->key;
    peer.client_number = ++number;
    server.device.set_peer(peer);
    client->send(DevicePair::packet(1));
  }
  ASSERT_TRUE(run_until(*loop, [&] { return server.host.packets_seen == kLive; }));
  loop->set_turn_hook({});
  // What goes with them is what they took.
  server.host.closed.reserve(kLive);
  const size_t before = device_bytes;
  for (auto& client : clients) server.device.remove_peer(client->key, Reason::client_removed);
  const size_t each = (before - device_bytes) / kLive;
  RecordProperty("bytes", static_cast<int>(each));
  EXPECT_GT(each, 1500u);  // the keys' replay window is a KiB
  EXPECT_LE(each, 4096u);
}

// Whatever cannot be had in the middle of a handshake: nothing hangs, and the client gets in with a later try.
TEST(DeviceMemory, ALackOfMemoryAtAnyStepLosesOneTryAtMost) {
  size_t failed = 0;
  for (long step = 0; step < 200; ++step) {
    auto options = DeviceEnd::options_for(2);
    options.timing.rekey_timeout = milliseconds(2);
    options.timing.keepalive_timeout = milliseconds(10);
    options.timing.initiation_gap = Duration{0};
    options.timing.rekey_jitter = Duration{0};
    auto server_options = DeviceEnd::options_for(1);
    server_options.timing = options.timing;
    DevicePair pair("127.0.0.1", false, std::move(server_options), std::move(options));
    pair.client.send(DevicePair::packet(1));
    device_failed = 0;
    device_fails_after = step;
    for (int turn = 0; turn < 8 && device_failed == 0; ++turn) {
      pair.loop->post([] {});
      pair.loop->run_turn();
    }
    device_fails_after = -1;
    failed += device_failed;
    ASSERT_TRUE(pair.until([&] {
      const bool done = pair.server.host.connected() && pair.server.host.packets_seen > 0;
      if (!done) pair.client.send(DevicePair::packet(2));
      return done;
    })) << step;
    EXPECT_LE(pair.server.device.connections(), 1u);
    if (device_failed == 0 && step > 100) break;
  }
  EXPECT_GT(failed, 20u);
}

}  // namespace
}  // namespace smartvpn::testing

#endif
