// Receiver indices: random, unique, never 0, freed, and of their shard.
#include "transport/wireguard/index_table.hpp"

#include <gtest/gtest.h>

#include <set>

#include "support/wireguard_pair.hpp"

namespace smartvpn::wireguard {
namespace {

TEST(WireguardChecklist, IndicesAreUniqueAndFreed) {
  testing::WireguardPair pair;
  IndexTable table(pair.rng);
  std::set<uint32_t> seen;
  for (int i = 0; i < 5000; ++i) seen.insert(table.add(i % 2 ? *pair.a.machine : *pair.b.machine));
  EXPECT_EQ(seen.size(), 5000u);
  EXPECT_EQ(table.size(), 5000u);
  EXPECT_EQ(seen.count(0), 0u);
  EXPECT_GT(*seen.rbegin(), 0xf0000000u) << "from the whole range";
  EXPECT_LT(*seen.begin(), 0x10000000u);
  for (const uint32_t index : seen) {
    EXPECT_NE(table.find(index), nullptr);
    table.remove(index);
    EXPECT_EQ(table.find(index), nullptr);
  }
  EXPECT_EQ(table.size(), 0u);
}

TEST(WireguardChecklist, AnIndexInUseOrZeroIsDrawnAgain) {
  testing::WireguardPair pair;
  testing::ScriptedRng rng;
  const uint8_t zero[4] = {}, five[4] = {5}, six[4] = {6};
  for (const auto* draw : {&zero, &five, &five, &zero, &six, &five}) rng.expect(*draw);
  IndexTable table(rng);
  EXPECT_EQ(table.add(*pair.a.machine), 5u);
  EXPECT_EQ(table.add(*pair.b.machine), 6u);
  EXPECT_EQ(table.find(5), pair.a.machine.get());
  table.remove(5);
  EXPECT_EQ(table.add(*pair.b.machine), 5u);
  EXPECT_TRUE(rng.satisfied());
}

TEST(WireguardMessages, TheShardIsInTheLowByte) {
  testing::WireguardPair pair;
  for (const unsigned shards : {1u, 2u, 3u, 7u, 64u})
    for (unsigned shard = 0; shard<shards; shard += shards> 8 ? 21 : 1) {
      IndexTable table(pair.rng, shard, shards);
      for (int i = 0; i < 200; ++i) {
        const uint32_t index = table.add(*pair.a.machine);
        EXPECT_EQ(index % 256 % shards, shard);
        EXPECT_TRUE(table.is_ours(index));
      }
      EXPECT_EQ(table.is_ours(shard + 1), shards == 1);
    }
}

}  // namespace
}  // namespace smartvpn::wireguard
