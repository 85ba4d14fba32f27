#include "relay/unique_id_table.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "proxyproto/tlv.hpp"
#include "support/fixed_rng.hpp"

namespace smartvpn::relay {
namespace {

TEST(UniqueIdTable, TheSameTwiceIsKnown) {
  UniqueIdTable table;
  EXPECT_TRUE(table.enter(as_bytes("a")));
  EXPECT_FALSE(table.enter(as_bytes("a")));
  EXPECT_FALSE(table.enter(as_bytes("a")));
  EXPECT_EQ(table.size(), 1u);
  table.leave(as_bytes("a"));
  EXPECT_EQ(table.size(), 0u);
  EXPECT_TRUE(table.enter(as_bytes("a")));
}

TEST(UniqueIdTable, EveryByteCounts) {
  using namespace std::string_view_literals;
  UniqueIdTable table;
  const std::string longest(proxyproto::kMaxUniqueId, '\xff');
  const std::vector<std::string_view> ids{"",
                                          "\0"sv,
                                          "\0\0"sv,
                                          "a",
                                          "a\0"sv,
                                          "a\0b"sv,
                                          "a\0c"sv,
                                          "A",
                                          "ab",
                                          "\xff",
                                          "\x7f",
                                          longest,
                                          std::string_view(longest).substr(1)};
  for (const auto id : ids) EXPECT_TRUE(table.enter(as_bytes(id))) << to_hex(as_bytes(id));
  EXPECT_EQ(table.size(), ids.size());
  for (const auto id : ids) EXPECT_FALSE(table.enter(as_bytes(id))) << to_hex(as_bytes(id));
  for (size_t gone = 0; gone < ids.size(); ++gone) {
    table.leave(as_bytes(ids[gone]));
    for (size_t other = gone + 1; other < ids.size(); ++other) ASSERT_FALSE(table.enter(as_bytes(ids[other])));
  }
  EXPECT_EQ(table.size(), 0u);
}

TEST(UniqueIdTable, KeepsItsOwnCopy) {
  UniqueIdTable table;
  Bytes id{1, 2, 3};
  EXPECT_TRUE(table.enter(id));
  id[0] = 9;
  EXPECT_TRUE(table.enter(id));
  EXPECT_FALSE(table.enter(Bytes{1, 2, 3}));
}

TEST(UniqueIdTable, LeavingWhatIsNotThereChangesNothing) {
  UniqueIdTable table;
  table.leave(as_bytes("a"));
  table.leave({});
  EXPECT_TRUE(table.enter(as_bytes("a")));
  table.leave(as_bytes("b"));
  EXPECT_FALSE(table.enter(as_bytes("a")));
}

TEST(UniqueIdTable, HoldsOneForEachOpenConnectionAtMost) {
  constexpr size_t kMostOpen = 40;
  smartvpn::testing::SeededRng random(11);
  UniqueIdTable table;
  std::multiset<std::string> open;  // what connections hold; those refused hold none
  for (int step = 0; step < 20000; ++step) {
    const std::string id = "id" + std::to_string(random.u32() % 100);
    if (random.u32() % 2 == 0 && open.size() < kMostOpen) {
      const bool is_new = open.count(id) == 0;
      ASSERT_EQ(table.enter(as_bytes(id)), is_new);
      if (is_new) open.insert(id);
    } else if (!open.empty()) {
      const auto gone = std::next(open.begin(), static_cast<ptrdiff_t>(random.u32() % open.size()));
      table.leave(as_bytes(*gone));
      open.erase(gone);
    }
    ASSERT_EQ(table.size(), open.size());
    ASSERT_LE(table.size(), kMostOpen);
  }
}

TEST(UniqueIdTable, OfSeveralThreadsOneIsTheFirst) {
  UniqueIdTable table;
  std::atomic<int> inside{0}, together{0}, entered{0};
  auto worker = [&] {
    for (int mine = 0, tries = 0; mine < 500 && tries < 10'000'000; ++tries) {
      if (!table.enter(as_bytes("loop"))) {
        std::this_thread::yield();  // who is inside may be waiting for this processor
        continue;
      }
      ++mine;
      if (++inside != 1) ++together;
      ++entered;
      --inside;
      table.leave(as_bytes("loop"));
    }
  };
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) workers.emplace_back(worker);
  for (std::thread& one : workers) one.join();
  EXPECT_EQ(together, 0);
  EXPECT_EQ(entered, 4 * 500) << "whoever is kept out gets in when the other has left";
  EXPECT_EQ(table.size(), 0u);
}

TEST(UniqueIdTable, NewIdsAreSixteenRandomBytes) {
  smartvpn::testing::SeededRng random(4);
  std::set<Bytes> made;
  for (int i = 0; i < 1000; ++i) {
    const Bytes id = make_unique_id(random);
    ASSERT_EQ(id.size(), 16u);
    made.insert(id);
  }
  EXPECT_EQ(made.size(), 1000u);
  smartvpn::testing::ScriptedRng scripted;
  const Bytes wanted = from_hex("000102030405060708090a0b0c0d0eff").value();
  scripted.expect(wanted);
  EXPECT_EQ(make_unique_id(scripted), wanted) << "every byte is from the generator";
  EXPECT_TRUE(scripted.satisfied());
}

}  // namespace
}  // namespace smartvpn::relay
