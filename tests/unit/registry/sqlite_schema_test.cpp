// Versions of the file: new, older, newer, another program's; and that a migration is one transaction.
#include "registry/sqlite_schema.hpp"

#include <gtest/gtest.h>

#include "registry/sqlite_file.hpp"
#include "registry/sqlite_store.hpp"
#include "support/client_difference.hpp"
#include "support/random_clients.hpp"
#include "support/temporary_folder.hpp"

namespace smartvpn::registry {
namespace {

using ::smartvpn::testing::difference;
using ::smartvpn::testing::RandomClients;
using ::smartvpn::testing::TemporaryFolder;

constexpr int64_t kThisVersion = 2;

class SqliteSchema : public ::testing::Test {
 protected:
  std::string path() const { return folder_ / "registry"; }
  // The file as any program might write it.
  void write(const char* sql) {
    auto db = raw();
    const auto done = db.run(sql);
    ASSERT_TRUE(done) << done.error().text;
  }
  SqliteDb raw() {
    auto file = prepare_sqlite_file(path());
    if (!file) throw std::runtime_error(file.error().text);
    auto db = SqliteDb::open(*file);
    if (!db) throw std::runtime_error(db.error().text);
    return std::move(*db);
  }
  std::string content() const {
    std::ifstream in(path(), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }

  TemporaryFolder folder_;
};

TEST_F(SqliteSchema, ANewFileSaysWhoseItIsAndOfWhichVersion) {
  { ASSERT_TRUE(SqliteStore::open(path())); }
  auto db = raw();
  EXPECT_EQ(*db.first_number("PRAGMA application_id"), kSqliteApplicationId);
  EXPECT_EQ(*db.first_number("PRAGMA user_version"), kThisVersion);
  EXPECT_EQ(static_cast<int64_t>(sqlite_schema_steps().size()), kThisVersion);
  EXPECT_EQ(**db.first_text("PRAGMA journal_mode"), "wal");
}

TEST_F(SqliteSchema, AnEmptyFileIsVersionZeroAndIsMigrated) {
  folder_.write("registry", "");
  auto store = SqliteStore::open(path());
  ASSERT_TRUE(store) << store.error().text;
  EXPECT_EQ(*(*store)->revision(), 0u);
}

TEST_F(SqliteSchema, ANewerFileIsRefusedAndLeftAsItIs) {
  { ASSERT_TRUE(SqliteStore::open(path())); }
  write("PRAGMA user_version=3");
  const std::string before = content();
  auto opened = SqliteStore::open(path());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().status, Status::UNSUPPORTED);
  EXPECT_EQ(opened.error().path, "/registry/path");
  EXPECT_NE(opened.error().text.find("newer version: its schema is 3, this version knows 2"), std::string::npos)
      << opened.error().text;
  EXPECT_EQ(content(), before);
}

TEST_F(SqliteSchema, FilesOfOtherProgramsAreRefusedAndLeftAsTheyAre) {
  for (const char* sql : {"CREATE TABLE client (name TEXT)", "PRAGMA application_id=7", "PRAGMA user_version=1",
                          "CREATE TABLE x (y); PRAGMA user_version=1", "CREATE VIEW v AS SELECT 1"}) {
    write(sql);
    const std::string before = content();
    ASSERT_FALSE(before.empty());
    auto opened = SqliteStore::open(path());
    ASSERT_FALSE(opened) << sql;
    EXPECT_EQ(opened.error().status, Status::SYSTEM) << sql;
    EXPECT_NE(opened.error().text.find("another program"), std::string::npos) << opened.error().text;
    EXPECT_EQ(content(), before) << sql;
    std::filesystem::remove(path());
  }
  folder_.write("registry", std::string(5000, 'x'));
  auto opened = SqliteStore::open(path());
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text.find("no registry"), std::string::npos) << opened.error().text;
}

TEST_F(SqliteSchema, AMigrationKeepsEverythingAndHappensWholeOrNotAtAll) {
  RandomClients random(3);
  std::vector<Client> before;
  {
    auto store = SqliteStore::open(path());
    for (const char* id : {"a", "b", "c"})
      ASSERT_TRUE((*store)->apply({{Write::Kind::insert, random.client(id)}}, std::nullopt));
    before = *(*store)->load();
  }
  const char* const first = sqlite_schema_steps()[0];
  const char* const second = sqlite_schema_steps()[1];
  const char* const added = "CREATE TABLE added (x); INSERT INTO added SELECT id FROM client";
  const char* const broken = "DELETE FROM client; INSERT INTO nowhere VALUES (1)";
  {
    auto db = raw();
    const char* const steps[] = {first, second, added, broken};
    EXPECT_FALSE(migrate_sqlite(db, 2, steps));
    EXPECT_EQ(*db.first_number("PRAGMA user_version"), 2);
    EXPECT_EQ(*db.first_number("SELECT count(*) FROM sqlite_master WHERE name = 'added'"), 0);
    EXPECT_FALSE(db.in_transaction());
  }
  EXPECT_EQ(difference(*(*SqliteStore::open(path()))->load(), before), "");
  {
    auto db = raw();
    const char* const steps[] = {first, second, added};
    ASSERT_TRUE(migrate_sqlite(db, 2, steps));
    EXPECT_EQ(*db.first_number("PRAGMA user_version"), 3);
    EXPECT_EQ(*db.first_number("SELECT count(*) FROM added"), 3);
    EXPECT_EQ(*sqlite_schema_of(db, 3), 3);
    EXPECT_EQ(*db.first_number("SELECT count(*) FROM client"), 3);
  }
}

TEST_F(SqliteSchema, AFileOfTheFirstVersionKeepsItsClientsAndTakesStamps) {
  RandomClients random(5);
  std::vector<Client> before;
  {
    auto store = SqliteStore::open(path());
    ASSERT_TRUE((*store)->apply({{Write::Kind::insert, random.client("a")}}, std::nullopt));
    before = *(*store)->load();
  }
  write("DROP TABLE handshake_stamp; PRAGMA user_version=1");  // what version 1 wrote
  const HandshakeStamp stamp{PublicKey{7}, {1, 2, 3}, 1000};
  {
    auto store = SqliteStore::open(path());
    ASSERT_TRUE(store) << store.error().text;
    EXPECT_EQ(difference(*(*store)->load(), before), "");
    EXPECT_TRUE((*store)->load_stamps(0)->empty());
    ASSERT_TRUE((*store)->save_stamps({stamp}));
  }
  EXPECT_EQ(*(*SqliteStore::open(path()))->load_stamps(0), std::vector<HandshakeStamp>{stamp});
  write("UPDATE handshake_stamp SET label = x'00'");
  EXPECT_EQ((*SqliteStore::open(path()))->load_stamps(0).error().status, Status::SYSTEM);
}

TEST_F(SqliteSchema, AFirstMigrationThatFailsLeavesAFileThatIsStillEmpty) {
  {
    auto db = raw();
    const char* const steps[] = {"CREATE TABLE half (x); CREATE TABLE half (x)"};
    EXPECT_FALSE(migrate_sqlite(db, 0, steps));
    EXPECT_EQ(*sqlite_schema_of(db, kThisVersion), 0);
  }
  EXPECT_TRUE(SqliteStore::open(path()));
}

TEST_F(SqliteSchema, WhatTheTablesCannotMeanIsDamage) {
  const char* const damages[] = {
      "UPDATE client SET noise_public_key = x'00'",
      "UPDATE client SET session_policy = 7",
      "UPDATE client SET enabled = -1",
      "UPDATE client SET wireguard_preshared_key = 'text'",
      "INSERT INTO item VALUES ('a', 0, 99, 'no address')",
      "INSERT INTO item VALUES ('a', 1, 99, '10.0.0.0/77')",
      "INSERT INTO item VALUES ('a', 77, 0, '')",
  };
  for (const char* sql : damages) {
    {
      auto store = SqliteStore::open(path());
      RandomClients random(4);
      ASSERT_TRUE((*store)->apply({{Write::Kind::insert, random.client("a")}}, std::nullopt));
    }
    write(sql);
    auto store = SqliteStore::open(path());
    ASSERT_TRUE(store) << sql;
    for (const Error& error : {(*store)->load().error(), (*store)->get("a").error()}) {
      EXPECT_EQ(error.status, Status::SYSTEM) << sql;
      EXPECT_EQ(error.path, "/registry/path");
      EXPECT_NE(error.text.find("'a' in the registry's file is damaged"), std::string::npos) << error.text;
    }
    *store = nullptr;
    std::filesystem::remove(path());
  }
  {
    ASSERT_TRUE(SqliteStore::open(path()));
    write("DELETE FROM state");
    EXPECT_EQ((*SqliteStore::open(path()))->revision().error().status, Status::SYSTEM);
  }
  write("PRAGMA foreign_keys=OFF; INSERT INTO claim VALUES (x'00', 'nobody')");
  auto dangling = SqliteStore::open(path());
  ASSERT_FALSE(dangling);
  EXPECT_NE(dangling.error().text.find("claim"), std::string::npos) << dangling.error().text;
}

TEST_F(SqliteSchema, TheFeedKeepsTheLast4096ChangesAndRevisionsNeverRepeat) {
  std::vector<Write> writes(SqliteStore::kFeedSize);
  for (size_t i = 0; i < writes.size(); ++i) {
    writes[i].client.id = "c" + std::to_string(i);
    store_le64(writes[i].client.noise_public_key.data(), i);
  }
  {
    auto store = SqliteStore::open(path());
    ASSERT_EQ(*(*store)->apply(writes, std::nullopt), 4096u);
    EXPECT_TRUE((*store)->changes_since(0)->complete);
    for (uint64_t i = 0; i < 3; ++i) {
      Write remove{Write::Kind::remove, writes[i].client};
      remove.client.revision = i + 1;
      ASSERT_EQ(*(*store)->apply({remove}, std::nullopt), 4097 + i);
    }
  }
  auto store = SqliteStore::open(path());
  EXPECT_EQ(*(*store)->revision(), 4099u) << "though the last entry of that revision is gone";
  EXPECT_FALSE((*store)->changes_since(2)->complete);
  EXPECT_EQ((*store)->changes_since(3)->changes.size(), 4096u);
  EXPECT_EQ(*(*store)->apply({writes[0]}, std::nullopt), 4100u);
  *store = nullptr;
  EXPECT_EQ(*raw().first_number("SELECT count(*) FROM change"), 4096);
}

}  // namespace
}  // namespace smartvpn::registry
