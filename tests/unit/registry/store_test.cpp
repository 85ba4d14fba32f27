// What every store promises, asked of each: the one in memory, and the sqlite one with the file closed and
// opened again between all calls.
#include "registry/store.hpp"

#include <gtest/gtest.h>

#include "registry/sqlite_store.hpp"
#include "support/client_difference.hpp"
#include "support/random_clients.hpp"
#include "support/temporary_folder.hpp"

namespace smartvpn::registry {
namespace {

using ::smartvpn::testing::difference;
using ::smartvpn::testing::RandomClients;
using ::smartvpn::testing::TemporaryFolder;
using Kind = Write::Kind;

constexpr size_t kFeedSize = 5;

class InMemory {
 public:
  Store& store() { return store_; }

 private:
  MemoryStore store_{kFeedSize};
};

class InAFile {
 public:
  Store& store() {
    if (!store_) open();
    return *store_;
  }

 protected:
  void open() {
    store_.reset();
    auto opened = SqliteStore::open(folder_ / "registry", kFeedSize);
    if (!opened) throw std::runtime_error(opened.error().text);
    store_ = std::move(*opened);
  }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
};

class InAReopenedFile : public InAFile {
 public:
  Store& store() {
    open();
    return InAFile::store();
  }
};

Client stored(const std::string& id, uint8_t key, const std::string& address = {}) {
  Client out;
  out.id = id;
  out.noise_public_key = PublicKey{key};
  if (!address.empty()) out.addresses = {*inet::IpAddress::parse(address)};
  return out;
}

Client of_revision(Client entry, uint64_t revision) {
  entry.revision = revision;
  return entry;
}

template <class Where>
class StoreTest : public ::testing::Test {
 protected:
  Store& store() { return where_.store(); }
  Result<uint64_t> apply(std::vector<Write> writes, std::optional<uint64_t> expected = std::nullopt) {
    return store().apply(writes, expected);
  }
  void expect_refused(std::vector<Write> writes, Status status, const std::string& path,
                      std::optional<uint64_t> expected = std::nullopt) {
    const auto before = *store().load();
    const uint64_t revision = *store().revision();
    auto applied = apply(std::move(writes), expected);
    ASSERT_FALSE(applied);
    EXPECT_EQ(applied.error().status, status) << applied.error().text;
    EXPECT_EQ(applied.error().path, path) << applied.error().text;
    EXPECT_EQ(difference(*store().load(), before), "") << "nothing has happened";
    EXPECT_EQ(*store().revision(), revision);
  }

 private:
  Where where_;
};

using Stores = ::testing::Types<InMemory, InAFile, InAReopenedFile>;
TYPED_TEST_SUITE(StoreTest, Stores);

TYPED_TEST(StoreTest, EveryChangeHasARevisionAndTheEntryCarriesIt) {
  EXPECT_EQ(*this->store().revision(), 0u);
  EXPECT_TRUE(this->store().load()->empty());
  EXPECT_EQ(*this->apply({{Kind::insert, stored("b", 1)}}), 1u);
  EXPECT_EQ(*this->apply({{Kind::insert, stored("a", 2)}}), 2u);
  Client b = *this->store().get("b");
  EXPECT_EQ(difference(b, of_revision(stored("b", 1), 1)), "");
  b.enabled = false;
  EXPECT_EQ(*this->apply({{Kind::replace, b}}), 3u);
  EXPECT_EQ(this->store().get("b")->revision, 3u);
  EXPECT_FALSE(this->store().get("b")->enabled);
  auto all = this->store().load();
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].id, "a");
  EXPECT_EQ(*this->apply({{Kind::remove, of_revision(stored("b", 0), 3)}}), 4u) << "a remove needs id and revision";
  EXPECT_EQ(this->store().get("b").error().status, Status::NOT_FOUND);
  EXPECT_EQ(*this->store().revision(), 4u);
}

TYPED_TEST(StoreTest, ATransactionIsOneAndItsEntriesCarryTheirOwnRevisions) {
  EXPECT_EQ(*this->apply({{Kind::insert, stored("a", 1)}, {Kind::insert, stored("b", 2)}}), 2u);
  EXPECT_EQ(*this->apply({{Kind::replace, of_revision(stored("a", 3), 1)},
                          {Kind::remove, of_revision(stored("b", 0), 2)},
                          {Kind::insert, stored("b", 1)},
                          {Kind::replace, of_revision(stored("b", 4), 5)},
                          {Kind::insert, stored("c", 2)}}),
            7u)
      << "later writes see what earlier ones did";
  EXPECT_EQ(difference(*this->store().load(),
                       std::vector<Client>{of_revision(stored("a", 3), 3), of_revision(stored("b", 4), 6),
                                           of_revision(stored("c", 2), 7)}),
            "");
}

TYPED_TEST(StoreTest, ATransactionHappensWholeOrNotAtAll) {
  ASSERT_TRUE(this->apply({{Kind::insert, stored("a", 1, "10.0.0.2")}}));
  this->expect_refused(
      {{Kind::insert, stored("b", 2)}, {Kind::remove, of_revision(stored("a", 0), 1)}, {Kind::insert, stored("c", 2)}},
      Status::EXISTS, "/2/noise_public_key");
  this->expect_refused({{Kind::insert, stored("b", 2)}, {Kind::remove, of_revision(stored("x", 0), 1)}},
                       Status::NOT_FOUND, "/1");
  EXPECT_EQ(*this->apply({{Kind::insert, stored("b", 2)}}), 2u) << "no revision was used up";
}

TYPED_TEST(StoreTest, IdsKeysAndAddressesAreUnique) {
  ASSERT_TRUE(this->apply({{Kind::insert, stored("a", 1, "10.0.0.2")}}));
  this->expect_refused({{Kind::insert, stored("a", 2)}}, Status::EXISTS, "/0/id");
  this->expect_refused({{Kind::insert, stored("b", 1)}}, Status::EXISTS, "/0/noise_public_key");
  this->expect_refused({{Kind::insert, stored("b", 2, "10.0.0.2")}}, Status::EXISTS, "/0/addresses/0");
  ASSERT_TRUE(this->apply({{Kind::insert, stored("b", 2, "10.0.0.3")}}));
  Client b = *this->store().get("b");
  b.noise_public_key = PublicKey{1};
  this->expect_refused({{Kind::replace, b}}, Status::EXISTS, "/0/noise_public_key");
  b.noise_public_key = PublicKey{3};
  b.addresses.clear();
  EXPECT_TRUE(this->apply({{Kind::replace, b}}));
  EXPECT_TRUE(this->apply({{Kind::insert, stored("c", 2, "10.0.0.3")}})) << "what b gave up is free";
  ASSERT_TRUE(this->apply({{Kind::remove, of_revision(stored("a", 0), 1)}}));
  EXPECT_TRUE(this->apply({{Kind::insert, stored("a", 1, "10.0.0.2")}}));
}

TYPED_TEST(StoreTest, WireguardKeysAndThoseOfRotationsAreUniqueToo) {
  Client a = stored("a", 1);
  a.wireguard_public_key = PublicKey{1};  // as the Noise key: they are not of one kind
  a.rotation.emplace();
  a.rotation->noise_public_key = PublicKey{5};
  a.rotation->wireguard_public_key = PublicKey{6};
  ASSERT_TRUE(this->apply({{Kind::insert, a}}));
  Client b = stored("b", 2);
  b.wireguard_public_key = PublicKey{1};
  this->expect_refused({{Kind::insert, b}}, Status::EXISTS, "/0/wireguard_public_key");
  b.wireguard_public_key = PublicKey{6};
  this->expect_refused({{Kind::insert, b}}, Status::EXISTS, "/0/wireguard_public_key");
  this->expect_refused({{Kind::insert, stored("b", 5)}}, Status::EXISTS, "/0/noise_public_key");
  b.wireguard_public_key.reset();
  b.rotation.emplace();
  b.rotation->noise_public_key = PublicKey{1};
  this->expect_refused({{Kind::insert, b}}, Status::EXISTS, "/0/rotation/previous_noise_public_key");
  Client rolled_back = a;
  rolled_back.revision = 1;
  rolled_back.rotation.reset();
  ASSERT_TRUE(this->apply({{Kind::replace, rolled_back}}));
  EXPECT_TRUE(this->apply({{Kind::insert, stored("b", 5)}})) << "the rotation is over";
}

TYPED_TEST(StoreTest, AStaleRevisionIsAConflict) {
  ASSERT_TRUE(this->apply({{Kind::insert, stored("a", 1)}}));
  const Client mine = *this->store().get("a");
  ASSERT_TRUE(this->apply({{Kind::replace, mine}}));
  this->expect_refused({{Kind::replace, mine}}, Status::CONFLICT, "/0");
  this->expect_refused({{Kind::remove, mine}}, Status::CONFLICT, "/0");
  this->expect_refused({{Kind::remove, stored("b", 1)}}, Status::NOT_FOUND, "/0");
  this->expect_refused({{Kind::insert, stored("b", 2)}}, Status::CONFLICT, "", 1);
  this->expect_refused({}, Status::CONFLICT, "", 3);
  EXPECT_EQ(*this->apply({{Kind::insert, stored("b", 2)}}, 2), 3u);
  EXPECT_EQ(*this->apply({}), 3u) << "no write, no revision";
}

TYPED_TEST(StoreTest, TheGreatestStampOfAKeyIsKeptWhateverTheOrder) {
  const HandshakeStamp early{PublicKey{1}, {0x40, 1}, 100}, late{PublicKey{1}, {0x40, 2}, 200},
      other{PublicKey{2}, {9}, 1};
  ASSERT_TRUE(this->store().save_stamps({late, other}));
  ASSERT_TRUE(this->store().save_stamps({early}));
  const HandshakeStamp kept{late.key, late.label, early.noted_ms};
  EXPECT_EQ(*this->store().load_stamps(0), (std::vector<HandshakeStamp>{kept, other}));
  EXPECT_EQ(*this->store().revision(), 0u);
  ASSERT_TRUE(this->store().save_stamps({}));
}

TYPED_TEST(StoreTest, OldStampsOfKeysThatAreNoClientsAreForgotten) {
  Client client = stored("a", 1);
  client.wireguard_public_key = PublicKey{1};
  client.rotation.emplace();
  client.rotation->noise_public_key = PublicKey{9};
  client.rotation->wireguard_public_key = PublicKey{2};
  ASSERT_TRUE(this->apply({{Kind::insert, client}}));
  const HandshakeStamp present{PublicKey{1}, {1}, 10}, previous{PublicKey{2}, {1}, 10};
  const HandshakeStamp gone_long_ago{PublicKey{3}, {1}, 10}, gone_lately{PublicKey{4}, {1}, 100};
  ASSERT_TRUE(this->store().save_stamps({present, previous, gone_long_ago, gone_lately}));
  EXPECT_EQ(*this->store().load_stamps(100), (std::vector<HandshakeStamp>{present, previous, gone_lately}));
  EXPECT_EQ(this->store().load_stamps(0)->size(), 3u);
}

TYPED_TEST(StoreTest, TheFeedSaysWhatChangedOrThatItForgot) {
  EXPECT_TRUE(this->store().changes_since(0)->complete);
  ASSERT_TRUE(this->apply({{Kind::insert, stored("a", 1)}, {Kind::insert, stored("b", 2)}}));
  ASSERT_TRUE(this->apply({{Kind::remove, of_revision(stored("a", 0), 1)}}));
  auto feed = this->store().changes_since(1);
  EXPECT_EQ(feed->revision, 3u);
  EXPECT_EQ(feed->changes, (std::vector<Change>{{2, "b", false}, {3, "a", true}}));
  EXPECT_EQ(this->store().changes_since(0)->changes.size(), 3u);
  EXPECT_TRUE(this->store().changes_since(3)->changes.empty());
  ASSERT_TRUE(
      this->apply({{Kind::insert, stored("c", 3)}, {Kind::insert, stored("d", 4)}, {Kind::insert, stored("e", 5)}}));
  EXPECT_FALSE(this->store().changes_since(0)->complete) << "the first change has fallen out";
  EXPECT_TRUE(this->store().changes_since(1)->complete);
  EXPECT_EQ(this->store().changes_since(1)->changes.size(), kFeedSize);
  EXPECT_FALSE(this->store().changes_since(99)->complete) << "a revision of another store";
}

TYPED_TEST(StoreTest, EveryFieldComesBackAsItWas) {
  RandomClients random(1);
  std::vector<Client> expected;
  for (int i = 0; i < 60; ++i) {
    const std::string id = "client-" + std::to_string(1000 + i);
    ASSERT_TRUE(this->apply({{Kind::insert, random.client(id)}})) << id;
    Client changed = random.client(id);
    changed.revision = expected.size() * 2 + 1;
    ASSERT_TRUE(this->apply({{Kind::replace, changed}})) << id;
    changed.revision += 1;
    ASSERT_EQ(difference(*this->store().get(id), changed), "");
    expected.push_back(std::move(changed));
  }
  EXPECT_EQ(difference(*this->store().load(), expected), "");
}

std::vector<Write> random_transaction(RandomClients& random, const std::vector<Client>& present) {
  std::vector<Write> writes(1 + random.below(4));
  for (Write& write : writes) {
    write.kind = static_cast<Kind>(random.below(3));
    write.client = random.client(std::string(1, static_cast<char>('a' + random.below(12))), 20);
    for (const Client& entry : present)
      if (entry.id == write.client.id && random.below(8) != 0) write.client.revision = entry.revision;
  }
  return writes;
}

TEST(SqliteStore, AgreesWithMemoryOnRandomTransactionsInEveryAnswerAndText) {
  TemporaryFolder folder;
  MemoryStore memory(20);
  auto file = SqliteStore::open(folder / "registry", 20);
  RandomClients random(2);
  std::map<Status, int> seen;
  for (int round = 0; round < 1000; ++round) {
    if (random.below(100) == 0) {
      *file = nullptr;
      file = SqliteStore::open(folder / "registry", 20);
      ASSERT_TRUE(file) << file.error().text;
    }
    const auto writes = random_transaction(random, *memory.load());
    const auto expected_revision =
        random.below(10) == 0 ? std::optional(*memory.revision() - random.below(2)) : std::nullopt;
    auto want = memory.apply(writes, expected_revision), have = (*file)->apply(writes, expected_revision);
    ASSERT_EQ(want.ok(), have.ok()) << (want ? have.error().text : want.error().text);
    ++seen[want ? Status::OK : want.error().status];
    if (want) {
      ASSERT_EQ(*want, *have);
    } else {
      ASSERT_EQ(want.error().status, have.error().status);
      ASSERT_EQ(want.error().path, have.error().path);
      ASSERT_EQ(want.error().text, have.error().text);
    }
    ASSERT_EQ(difference(*memory.load(), *(*file)->load()), "");
    const uint64_t since = random.below(*memory.revision() + 3);
    ASSERT_EQ(memory.changes_since(since)->changes, (*file)->changes_since(since)->changes);
    ASSERT_EQ(memory.changes_since(since)->complete, (*file)->changes_since(since)->complete);
  }
  for (Status status : {Status::OK, Status::EXISTS, Status::NOT_FOUND, Status::CONFLICT})
    EXPECT_GT(seen[status], 50) << status_name(static_cast<int32_t>(status));
}

}  // namespace
}  // namespace smartvpn::registry
