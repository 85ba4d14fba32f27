// The data path takes memory from the pool and nowhere else: a counting operator new stands guard.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "support/session_pair.hpp"

// Sanitizers have an allocator of their own; gcc and clang tell differently that one is there.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SMARTVPN_TEST_SANITIZED 1
#endif
#endif
#if !defined(SMARTVPN_TEST_SANITIZED) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {
size_t allocations = 0;
}

void* operator new(size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace smartvpn::testing {
namespace {

TEST(Allocation, NothingIsAllocatedPerPacketOnceWarm) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.server_handler.keep_packets = pair.client_handler.keep_packets = false;
  auto round = [&] {
    for (int i = 0; i < 30; ++i) {
      pair.send(Side::client, 1400);
      pair.send(Side::server, 60);
    }
    pair.send(Side::client, 60000, 1, 1400);
    while (Packet m = pair.client->pull(pair.now)) pair.server->receive(m.bytes(), pair.now);
    while (Packet m = pair.server->pull(pair.now)) pair.client->receive(m.bytes(), pair.now);
  };
  for (int i = 0; i < 3; ++i) round();
  const size_t before = allocations;
  for (int i = 0; i < 100; ++i) round();
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(pair.server_handler.packets_seen, 103u * 31u);
  EXPECT_EQ(pair.client_handler.packets_seen, 103u * 30u);
}

TEST(Allocation, IdleSessionIsSmall) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.run_for(seconds(100));
  EXPECT_EQ(pair.pool.bytes_in_use(), 0u);
  EXPECT_LE(sizeof(Responder), 1536u);
}

}  // namespace
}  // namespace smartvpn::testing

#endif
