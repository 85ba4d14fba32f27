#include <gtest/gtest.h>

#include "registry/store.hpp"

namespace smartvpn::registry {
namespace {

Client client(const std::string& id, uint8_t key, const std::string& address = {}) {
  Client out;
  out.id = id;
  out.noise_public_key = PublicKey{key};
  if (!address.empty()) out.addresses = {*inet::IpAddress::parse(address)};
  return out;
}

TEST(MemoryStore, EveryChangeHasARevisionAndTheEntryCarriesIt) {
  MemoryStore store;
  EXPECT_EQ(*store.revision(), 0u);
  EXPECT_EQ(*store.insert(client("b", 1)), 1u);
  EXPECT_EQ(*store.insert(client("a", 2)), 2u);
  Client b = *store.get("b");
  EXPECT_EQ(b.revision, 1u);
  b.enabled = false;
  EXPECT_EQ(*store.replace(b), 3u);
  EXPECT_EQ(store.get("b")->revision, 3u);
  EXPECT_FALSE(store.get("b")->enabled);
  auto all = store.load();
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].id, "a");
  EXPECT_EQ(*store.remove("b", 3), 4u);
  EXPECT_EQ(store.get("b").error().status, Status::NOT_FOUND);
}

TEST(MemoryStore, IdsKeysAndAddressesAreUnique) {
  MemoryStore store;
  ASSERT_TRUE(store.insert(client("a", 1, "10.0.0.2")));
  EXPECT_EQ(store.insert(client("a", 2)).error().path, "/id");
  EXPECT_EQ(store.insert(client("b", 1)).error().path, "/noise_public_key");
  auto address = store.insert(client("b", 2, "10.0.0.2"));
  EXPECT_EQ(address.error().path, "/addresses/0");
  EXPECT_EQ(address.error().status, Status::EXISTS);
  ASSERT_TRUE(store.insert(client("b", 2, "10.0.0.3")));
  Client b = *store.get("b");
  b.noise_public_key = PublicKey{1};
  EXPECT_EQ(store.replace(b).error().status, Status::EXISTS);
  b.noise_public_key = PublicKey{3};
  b.addresses.clear();
  EXPECT_TRUE(store.replace(b));
  EXPECT_TRUE(store.insert(client("c", 2, "10.0.0.3"))) << "what b gave up is free";
  ASSERT_TRUE(store.remove("a", 1));
  EXPECT_TRUE(store.insert(client("a", 1, "10.0.0.2")));
}

TEST(MemoryStore, AStaleRevisionIsAConflict) {
  MemoryStore store;
  ASSERT_TRUE(store.insert(client("a", 1)));
  Client mine = *store.get("a"), theirs = *store.get("a");
  ASSERT_TRUE(store.replace(theirs));
  EXPECT_EQ(store.replace(mine).error().status, Status::CONFLICT);
  EXPECT_EQ(store.remove("a", 1).error().status, Status::CONFLICT);
  EXPECT_EQ(store.remove("b", 1).error().status, Status::NOT_FOUND);
  EXPECT_EQ(*store.revision(), 2u);
}

TEST(MemoryStore, TheFeedSaysWhatChangedOrThatItForgot) {
  MemoryStore store(3);
  EXPECT_TRUE(store.changes_since(0)->complete);
  ASSERT_TRUE(store.insert(client("a", 1)));
  ASSERT_TRUE(store.insert(client("b", 2)));
  ASSERT_TRUE(store.remove("a", 1));
  auto feed = store.changes_since(1);
  EXPECT_EQ(feed->revision, 3u);
  EXPECT_EQ(feed->changes, (std::vector<Change>{{2, "b", false}, {3, "a", true}}));
  EXPECT_EQ(store.changes_since(0)->changes.size(), 3u);
  EXPECT_TRUE(store.changes_since(3)->changes.empty());
  ASSERT_TRUE(store.insert(client("c", 3)));
  EXPECT_FALSE(store.changes_since(0)->complete) << "the first change has fallen out";
  EXPECT_TRUE(store.changes_since(1)->complete);
  EXPECT_FALSE(store.changes_since(99)->complete) << "a revision of another store";
}

}  // namespace
}  // namespace smartvpn::registry
