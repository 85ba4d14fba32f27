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

using Kind = Write::Kind;

Result<uint64_t> one(Store& store, Kind kind, Client client) { return store.apply({{kind, std::move(client)}}, {}); }
Result<uint64_t> insert(Store& store, Client client) { return one(store, Kind::insert, std::move(client)); }
Result<uint64_t> replace(Store& store, Client client) { return one(store, Kind::replace, std::move(client)); }
Result<uint64_t> remove(Store& store, const std::string& id, uint64_t revision) {
  Client gone;
  gone.id = id;
  gone.revision = revision;
  return one(store, Kind::remove, std::move(gone));
}

TEST(MemoryStore, EveryChangeHasARevisionAndTheEntryCarriesIt) {
  MemoryStore store;
  EXPECT_EQ(*store.revision(), 0u);
  EXPECT_EQ(*insert(store, client("b", 1)), 1u);
  EXPECT_EQ(*insert(store, client("a", 2)), 2u);
  Client b = *store.get("b");
  EXPECT_EQ(b.revision, 1u);
  b.enabled = false;
  EXPECT_EQ(*replace(store, b), 3u);
  EXPECT_EQ(store.get("b")->revision, 3u);
  EXPECT_FALSE(store.get("b")->enabled);
  auto all = store.load();
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].id, "a");
  EXPECT_EQ(*remove(store, "b", 3), 4u);
  EXPECT_EQ(store.get("b").error().status, Status::NOT_FOUND);
}

TEST(MemoryStore, IdsKeysAndAddressesAreUnique) {
  MemoryStore store;
  ASSERT_TRUE(insert(store, client("a", 1, "10.0.0.2")));
  EXPECT_EQ(insert(store, client("a", 2)).error().path, "/0/id");
  EXPECT_EQ(insert(store, client("b", 1)).error().path, "/0/noise_public_key");
  auto address = insert(store, client("b", 2, "10.0.0.2"));
  EXPECT_EQ(address.error().path, "/0/addresses/0");
  EXPECT_EQ(address.error().status, Status::EXISTS);
  ASSERT_TRUE(insert(store, client("b", 2, "10.0.0.3")));
  Client b = *store.get("b");
  b.noise_public_key = PublicKey{1};
  EXPECT_EQ(replace(store, b).error().status, Status::EXISTS);
  b.noise_public_key = PublicKey{3};
  b.addresses.clear();
  EXPECT_TRUE(replace(store, b));
  EXPECT_TRUE(insert(store, client("c", 2, "10.0.0.3"))) << "what b gave up is free";
  ASSERT_TRUE(remove(store, "a", 1));
  EXPECT_TRUE(insert(store, client("a", 1, "10.0.0.2")));
}

TEST(MemoryStore, AStaleRevisionIsAConflict) {
  MemoryStore store;
  ASSERT_TRUE(insert(store, client("a", 1)));
  Client mine = *store.get("a"), theirs = *store.get("a");
  ASSERT_TRUE(replace(store, theirs));
  EXPECT_EQ(replace(store, mine).error().status, Status::CONFLICT);
  EXPECT_EQ(remove(store, "a", 1).error().status, Status::CONFLICT);
  EXPECT_EQ(remove(store, "b", 1).error().status, Status::NOT_FOUND);
  EXPECT_EQ(*store.revision(), 2u);
}

TEST(MemoryStore, TheFeedSaysWhatChangedOrThatItForgot) {
  MemoryStore store(3);
  EXPECT_TRUE(store.changes_since(0)->complete);
  ASSERT_TRUE(insert(store, client("a", 1)));
  ASSERT_TRUE(insert(store, client("b", 2)));
  ASSERT_TRUE(remove(store, "a", 1));
  auto feed = store.changes_since(1);
  EXPECT_EQ(feed->revision, 3u);
  EXPECT_EQ(feed->changes, (std::vector<Change>{{2, "b", false}, {3, "a", true}}));
  EXPECT_EQ(store.changes_since(0)->changes.size(), 3u);
  EXPECT_TRUE(store.changes_since(3)->changes.empty());
  ASSERT_TRUE(insert(store, client("c", 3)));
  EXPECT_FALSE(store.changes_since(0)->complete) << "the first change has fallen out";
  EXPECT_TRUE(store.changes_since(1)->complete);
  EXPECT_FALSE(store.changes_since(99)->complete) << "a revision of another store";
}

TEST(MemoryStore, ATransactionHappensWhollyOrNotAtAll) {
  MemoryStore store;
  ASSERT_TRUE(insert(store, client("old", 9, "10.0.0.9")));
  Client old = *store.get("old");
  old.enabled = false;
  auto failed = store.apply({{Kind::insert, client("a", 1)}, {Kind::replace, old}, {Kind::insert, client("b", 1)}}, {});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().status, Status::EXISTS);
  EXPECT_EQ(failed.error().path, "/2/noise_public_key");
  EXPECT_EQ(*store.revision(), 1u);
  EXPECT_EQ(store.load()->size(), 1u);
  EXPECT_TRUE(store.get("old")->enabled);
  EXPECT_TRUE(store.changes_since(1)->changes.empty());
  EXPECT_TRUE(insert(store, client("c", 1))) << "the key that failed to be taken is free";
}

TEST(MemoryStore, ATransactionSeesItsOwnWritesAndNumbersThem) {
  MemoryStore store;
  Client again = client("a", 2, "10.0.0.2");
  again.revision = 1;  // the first write's
  Client gone = again;
  gone.revision = 2;
  EXPECT_EQ(*store.apply({{Kind::insert, client("a", 1)},
                          {Kind::replace, again},
                          {Kind::insert, client("b", 1)},
                          {Kind::remove, gone},
                          {Kind::insert, client("c", 2, "10.0.0.2")}},
                         0),
            5u);
  EXPECT_EQ(store.get("a").error().status, Status::NOT_FOUND);
  EXPECT_EQ(store.get("b")->revision, 3u);
  EXPECT_EQ(store.get("c")->revision, 5u);
  EXPECT_EQ(store.changes_since(0)->changes.size(), 5u);
  EXPECT_EQ(*store.apply({}, 5), 5u) << "nothing to do is no change";
}

TEST(MemoryStore, AnotherRevisionThanExpectedIsAConflict) {
  MemoryStore store;
  EXPECT_EQ(store.apply({{Kind::insert, client("a", 1)}}, 7).error().status, Status::CONFLICT);
  EXPECT_TRUE(store.apply({{Kind::insert, client("a", 1)}}, 0));
  EXPECT_EQ(store.apply({{Kind::insert, client("b", 2)}}, 0).error().status, Status::CONFLICT);
  EXPECT_TRUE(store.apply({{Kind::insert, client("b", 2)}}, 1));
}

TEST(MemoryStore, WireguardKeysAreUniqueAmongThemselves) {
  MemoryStore store;
  Client a = client("a", 1), b = client("b", 2);
  a.wireguard_public_key = b.wireguard_public_key = PublicKey{7};
  ASSERT_TRUE(insert(store, a));
  EXPECT_EQ(insert(store, b).error().path, "/0/wireguard_public_key");
  b.wireguard_public_key = PublicKey{1};
  EXPECT_TRUE(insert(store, b)) << "equal to a Noise key is no matter";
}

TEST(MemoryStore, TheKeysBeforeARotationStayTaken) {
  MemoryStore store;
  Client a = client("a", 1);
  a.wireguard_public_key = PublicKey{11};
  ASSERT_TRUE(insert(store, a));
  Client rotated = *store.get("a");
  rotated.rotation.emplace();
  rotated.rotation->noise_public_key = rotated.noise_public_key;
  rotated.rotation->wireguard_public_key = rotated.wireguard_public_key;
  rotated.noise_public_key = PublicKey{2};
  rotated.wireguard_public_key = PublicKey{12};
  ASSERT_TRUE(replace(store, rotated));
  EXPECT_EQ(insert(store, client("b", 1)).error().path, "/0/noise_public_key");
  Client b = client("b", 3);
  b.wireguard_public_key = PublicKey{11};
  EXPECT_EQ(insert(store, b).error().path, "/0/wireguard_public_key");
  Client committed = *store.get("a");
  committed.rotation.reset();
  ASSERT_TRUE(replace(store, committed));
  b.noise_public_key = PublicKey{1};
  EXPECT_TRUE(insert(store, b)) << "committed: the old keys are free";
}

}  // namespace
}  // namespace smartvpn::registry
