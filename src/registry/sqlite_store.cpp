// Transactions over the tables of sqlite_schema.cpp. A replace is a delete and an insert: the items and
// claims go with the row they refer to.
#include "registry/sqlite_store.hpp"

#include "base/features.hpp"

#if SMARTVPN_WITH_SQLITE

#include <chrono>
#include <new>
#include <thread>

#include "registry/sqlite_codec.hpp"
#include "registry/sqlite_file.hpp"
#include "registry/sqlite_schema.hpp"
#include "registry/sqlite_stamps.hpp"

namespace smartvpn::registry {
namespace {

constexpr std::chrono::milliseconds kMemoryPause(10);

Error no_client(const std::string& id) { return make_error(Status::NOT_FOUND, "no client '" + id + "'"); }

struct Statements {
  SqliteStatement revision, set_revision;
  SqliteStatement load_clients, load_items, get_client, get_items;
  SqliteStatement revision_of, insert_client, delete_client, insert_item;
  SqliteStatement owner_of, insert_claim;
  SqliteStatement insert_change, trim_changes, oldest_change, changes_since;
};

Result<void> prepare(SqliteDb& db, Statements& out) {
  const std::string columns = kSqliteClientColumns;
  const std::pair<SqliteStatement*, std::string> all[] = {
      {&out.revision, "SELECT revision FROM state"},
      {&out.set_revision, "UPDATE state SET revision = ?"},
      {&out.load_clients, "SELECT " + columns + " FROM client ORDER BY id"},
      {&out.load_items, "SELECT client_id, kind, value FROM item ORDER BY client_id, kind, position"},
      {&out.get_client, "SELECT " + columns + " FROM client WHERE id = ?"},
      {&out.get_items, "SELECT client_id, kind, value FROM item WHERE client_id = ? ORDER BY kind, position"},
      {&out.revision_of, "SELECT revision FROM client WHERE id = ?"},
      {&out.insert_client, "INSERT INTO client (" + columns + ") VALUES (" + kSqliteClientMarks + ")"},
      {&out.delete_client, "DELETE FROM client WHERE id = ?"},
      {&out.insert_item, "INSERT INTO item (client_id, kind, position, value) VALUES (?, ?, ?, ?)"},
      {&out.owner_of, "SELECT client_id FROM claim WHERE what = ?"},
      {&out.insert_claim, "INSERT INTO claim (what, client_id) VALUES (?, ?)"},
      {&out.insert_change, "INSERT INTO change (revision, client_id, removed) VALUES (?, ?, ?)"},
      {&out.trim_changes, "DELETE FROM change WHERE revision <= ?"},
      {&out.oldest_change, "SELECT min(revision) FROM change"},
      {&out.changes_since, "SELECT revision, client_id, removed FROM change WHERE revision > ? ORDER BY revision"},
  };
  for (const auto& [statement, sql] : all) {
    auto prepared = db.prepare(sql);
    if (!prepared) return std::move(prepared).error();
    *statement = std::move(*prepared);
  }
  return {};
}

// The first row's first column; nothing if there is no row or it is NULL.
Result<std::optional<int64_t>> number_of(SqliteStatement& statement) {
  auto row = statement.step();
  if (!row) return std::move(row).error();
  return *row && !statement.is_null(0) ? std::optional(statement.number(0)) : std::nullopt;
}

class OpenStore final : public Store {
 public:
  OpenStore(SqliteDb db, std::string path, size_t feed_size)
      : feed_size_(feed_size), files_(std::move(path)), db_(std::move(db)) {}
  Result<void> prepare_statements() {
    auto prepared = prepare(db_, sql_);
    return prepared ? stamps_.prepare(db_) : prepared;
  }

  Result<std::vector<Client>> load() override;
  Result<Client> get(const std::string& id) override;
  Result<uint64_t> apply(const std::vector<Write>& writes, std::optional<uint64_t> expected_revision) override;
  Result<uint64_t> revision() override;
  Result<ChangeFeed> changes_since(uint64_t revision) override;
  Result<void> save_stamps(const std::vector<HandshakeStamp>& stamps) override;
  Result<std::vector<HandshakeStamp>> load_stamps(int64_t forget_before_ms) override;

 private:
  Result<bool> is_claimed(const PublicKey& wireguard_key);
  Result<void> add(const Write& write, uint64_t revision);
  Result<void> check_present(const Write& write);
  Result<void> claim(const Client& client);
  Result<void> insert(const Client& client, uint64_t revision);
  Result<void> note_change(const Write& write, uint64_t revision);
  Result<void> finish(uint64_t revision);
  bool is_in_store(uint64_t after) noexcept;

  const size_t feed_size_;
  SqliteFiles files_;
  SqliteDb db_;  // outlives the statements
  Statements sql_;
  SqliteStamps stamps_;
};

Result<std::vector<Client>> OpenStore::load() {
  SqliteUse clients(sql_.load_clients), items(sql_.load_items);
  std::vector<Client> out;
  auto item = sql_.load_items.step();
  for (;;) {
    auto row = sql_.load_clients.step();
    if (!row) return std::move(row).error();
    if (!*row) {
      // An id that could not be read ends the items before their end.
      if (sql_.load_items.out_of_memory()) return std::move(sql_.load_items.step()).error();
      return out;
    }
    auto client = read_client_row(sql_.load_clients);
    if (!client) return std::move(client).error();
    // Both come in order of id, so the items of a client are the next ones.
    for (; item && *item && sql_.load_items.text(0) == client->id; item = sql_.load_items.step())
      if (auto added = add_item(*client, sql_.load_items.number(1), sql_.load_items.text(2)); !added)
        return std::move(added).error();
    if (!item) return std::move(item).error();
    out.push_back(std::move(*client));
  }
}

Result<Client> OpenStore::get(const std::string& id) {
  SqliteUse use(sql_.get_client), use_items(sql_.get_items);
  sql_.get_client.bind(1, id);
  auto row = sql_.get_client.step();
  if (!row) return std::move(row).error();
  if (!*row) return no_client(id);
  auto client = read_client_row(sql_.get_client);
  if (!client) return client;
  if (sql_.get_client.out_of_memory()) return std::move(sql_.get_client.step()).error();
  sql_.get_items.bind(1, id);
  for (;;) {
    auto item = sql_.get_items.step();
    if (!item) return std::move(item).error();
    if (!*item) return client;
    if (auto added = add_item(*client, sql_.get_items.number(1), sql_.get_items.text(2)); !added)
      return std::move(added).error();
  }
}

Result<uint64_t> OpenStore::apply(const std::vector<Write>& writes, std::optional<uint64_t> expected_revision) {
  SqliteTransaction transaction(db_);
  if (auto begun = transaction.begin(); !begun) return std::move(begun).error();
  auto before = revision();
  if (!before) return before;
  if (expected_revision && *expected_revision != *before)
    return make_error(Status::CONFLICT, "the registry was changed meanwhile");
  if (writes.empty()) return before;
  for (size_t i = 0; i < writes.size(); ++i) {
    auto added = add(writes[i], *before + 1 + i);
    if (added) continue;
    Error error = added.error();
    const bool of_the_write = error.path != "/registry/path";
    if (of_the_write) error.path = "/" + std::to_string(i) + error.path;
    return error;
  }
  const uint64_t after = *before + writes.size();
  if (auto finished = finish(after); !finished) return std::move(finished).error();
  if (auto there = files_.check(); !there) return std::move(there).error();
  Result<void> committed = Error{Status::NO_MEMORY, {}, 0, {}};
  try {
    committed = transaction.commit();
  } catch (const std::bad_alloc&) {
    // For the error's text; what SQLite did decides.
  }
  if (!committed && !is_in_store(after)) return std::move(committed).error();
  return after;
}

// After a commit that has failed: SQLite may have done it, and then had no memory, or no room, to tidy up its log. What
// it did decides, or the copy in memory would not be the store's any more.
bool OpenStore::is_in_store(uint64_t after) noexcept {
  while (!db_.in_transaction()) {
    try {
      auto present = revision();
      if (present) return *present == after;
      if (present.error().status != Status::NO_MEMORY) return false;
    } catch (const std::bad_alloc&) {
      // Asked again in a moment.
    }
    std::this_thread::sleep_for(kMemoryPause);
  }
  return false;
}

Result<void> OpenStore::add(const Write& write, uint64_t revision) {
  if (auto present = check_present(write); !present) return present;
  if (write.kind != Write::Kind::insert) {
    sql_.delete_client.bind(1, write.client.id);
    if (auto gone = sql_.delete_client.run(); !gone) return gone;
  }
  if (write.kind != Write::Kind::remove)
    if (auto inserted = insert(write.client, revision); !inserted) return inserted;
  return note_change(write, revision);
}

Result<void> OpenStore::check_present(const Write& write) {
  const std::string& id = write.client.id;
  SqliteUse use(sql_.revision_of);
  sql_.revision_of.bind(1, id);
  auto present = number_of(sql_.revision_of);
  if (!present) return std::move(present).error();
  if (write.kind == Write::Kind::insert) {
    if (*present) return make_error(Status::EXISTS, "client '" + id + "' exists", "/id");
    return {};
  }
  if (!*present) return no_client(id);
  if (static_cast<uint64_t>(**present) != write.client.revision)
    return make_error(Status::CONFLICT, "client '" + id + "' was changed meanwhile");
  return {};
}

Result<void> OpenStore::insert(const Client& client, uint64_t revision) {
  bind_client_row(sql_.insert_client, client, revision);
  if (auto inserted = sql_.insert_client.run(); !inserted) return inserted;
  for (const Item& item : items_of(client)) {
    sql_.insert_item.bind(1, client.id);
    sql_.insert_item.bind(2, static_cast<int64_t>(item.kind));
    sql_.insert_item.bind(3, item.position);
    sql_.insert_item.bind(4, item.value);
    if (auto inserted = sql_.insert_item.run(); !inserted) return inserted;
  }
  return claim(client);
}

Result<void> OpenStore::claim(const Client& client) {
  for (const auto& [what, path] : unique_claims(client)) {
    SqliteUse use(sql_.owner_of);
    sql_.owner_of.bind_blob(1, as_bytes(what));
    auto taken = sql_.owner_of.step();
    if (!taken) return std::move(taken).error();
    if (*taken) {
      const std::string_view other = sql_.owner_of.text(0);
      if (other == client.id) continue;  // it names the same twice
      return make_error(Status::EXISTS, "belongs to client '" + std::string(other) + "'", path);
    }
    sql_.insert_claim.bind_blob(1, as_bytes(what));
    sql_.insert_claim.bind(2, client.id);
    if (auto inserted = sql_.insert_claim.run(); !inserted) return inserted;
  }
  return {};
}

Result<void> OpenStore::note_change(const Write& write, uint64_t revision) {
  sql_.insert_change.bind(1, static_cast<int64_t>(revision));
  sql_.insert_change.bind(2, write.client.id);
  sql_.insert_change.bind(3, int64_t{write.kind == Write::Kind::remove});
  return sql_.insert_change.run();
}

Result<void> OpenStore::finish(uint64_t revision) {
  if (revision > feed_size_) {
    sql_.trim_changes.bind(1, static_cast<int64_t>(revision - feed_size_));
    if (auto trimmed = sql_.trim_changes.run(); !trimmed) return trimmed;
  }
  sql_.set_revision.bind(1, static_cast<int64_t>(revision));
  return sql_.set_revision.run();
}

Result<uint64_t> OpenStore::revision() {
  SqliteUse use(sql_.revision);
  auto number = number_of(sql_.revision);
  if (!number) return std::move(number).error();
  if (!*number || **number < 0)
    return make_error(Status::SYSTEM, "the registry's file is damaged: it has no revision", "/registry/path");
  return static_cast<uint64_t>(**number);
}

Result<ChangeFeed> OpenStore::changes_since(uint64_t since) {
  ChangeFeed out;
  auto now = revision();
  if (!now) return std::move(now).error();
  out.revision = *now;
  SqliteUse use_oldest(sql_.oldest_change), use(sql_.changes_since);
  auto oldest = number_of(sql_.oldest_change);
  if (!oldest) return std::move(oldest).error();
  out.complete = since <= *now && since + 1 >= static_cast<uint64_t>(oldest->value_or(static_cast<int64_t>(*now) + 1));
  if (!out.complete) return out;
  sql_.changes_since.bind(1, static_cast<int64_t>(since));
  for (;;) {
    auto row = sql_.changes_since.step();
    if (!row) return std::move(row).error();
    if (!*row) return out;
    out.changes.push_back({static_cast<uint64_t>(sql_.changes_since.number(0)), std::string(sql_.changes_since.text(1)),
                           sql_.changes_since.number(2) != 0});
  }
}

Result<void> OpenStore::save_stamps(const std::vector<HandshakeStamp>& stamps) {
  SqliteTransaction transaction(db_);
  if (auto begun = transaction.begin(); !begun) return begun;
  if (auto saved = stamps_.save(stamps); !saved) return saved;
  if (auto there = files_.check(); !there) return there;
  return transaction.commit();
}

Result<std::vector<HandshakeStamp>> OpenStore::load_stamps(int64_t forget_before_ms) {
  SqliteTransaction transaction(db_);
  if (auto begun = transaction.begin(); !begun) return std::move(begun).error();
  auto all = stamps_.load();
  if (!all) return all;
  std::vector<HandshakeStamp> kept;
  for (const HandshakeStamp& stamp : *all) {
    auto claimed = is_claimed(stamp.key);
    if (!claimed) return std::move(claimed).error();
    if (*claimed || stamp.noted_ms >= forget_before_ms)
      kept.push_back(stamp);
    else if (auto gone = stamps_.remove(stamp.key); !gone)
      return std::move(gone).error();
  }
  if (auto done = transaction.commit(); !done) return std::move(done).error();
  return kept;
}

Result<bool> OpenStore::is_claimed(const PublicKey& wireguard_key) {
  const std::string what = wireguard_claim(wireguard_key);
  SqliteUse use(sql_.owner_of);
  sql_.owner_of.bind_blob(1, as_bytes(what));
  return sql_.owner_of.step();
}

Result<void> check_sound(SqliteDb& db) {
  auto answer = db.first_text("PRAGMA integrity_check(1)");
  if (!answer) return std::move(answer).error();
  if (!*answer || **answer != "ok")
    return make_error(Status::SYSTEM, "the registry's file is damaged: " + answer->value_or(""), "/registry/path");
  auto dangling = db.first_text("PRAGMA foreign_key_check");
  if (!dangling) return std::move(dangling).error();
  if (*dangling)
    return make_error(Status::SYSTEM, "the registry's file is damaged: table " + **dangling + " refers to nothing",
                      "/registry/path");
  return {};
}

// On disk at COMMIT, in a log whose size is given back after a large transaction.
Result<void> make_durable(SqliteDb& db) {
  auto mode = db.first_text("PRAGMA journal_mode=WAL");
  if (!mode) return std::move(mode).error();
  if (*mode != "wal") return make_error(Status::SYSTEM, "SQLite gives no write-ahead log here", "/registry/path");
  return db.run("PRAGMA synchronous=FULL; PRAGMA journal_size_limit=4194304");
}

}  // namespace

Result<std::unique_ptr<Store>> SqliteStore::open(const std::string& path, size_t feed_size) {
  auto file = prepare_sqlite_file(path);
  if (!file) return std::move(file).error();
  auto db = SqliteDb::open(*file);
  if (!db) return std::move(db).error();
  const auto steps = sqlite_schema_steps();
  auto schema = sqlite_schema_of(*db, static_cast<int64_t>(steps.size()));
  if (!schema) return std::move(schema).error();
  if (auto durable = make_durable(*db); !durable) return std::move(durable).error();
  if (auto sound = check_sound(*db); !sound) return std::move(sound).error();
  if (auto migrated = migrate_sqlite(*db, *schema, steps); !migrated) return std::move(migrated).error();
  auto store = std::make_unique<OpenStore>(std::move(*db), *file, feed_size);
  if (auto prepared = store->prepare_statements(); !prepared) return std::move(prepared).error();
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace smartvpn::registry

#else

namespace smartvpn::registry {

Result<std::unique_ptr<Store>> SqliteStore::open(const std::string&, size_t) {
  return make_error(Status::UNSUPPORTED, "this build has no SQLite", "/registry/store");
}

}  // namespace smartvpn::registry

#endif
