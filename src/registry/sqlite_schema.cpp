// Scalars are columns; lists are rows of `item`, in order; what only one client may have is a
// row of `claim`, so that the database itself keeps it unique; `change` is the feed. Schema 2 adds the greatest
// labels of WireGuard handshakes.
#include "registry/sqlite_schema.hpp"

namespace smartvpn::registry {
namespace {

constexpr const char* kSchema1 = R"(
CREATE TABLE state (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  revision INTEGER NOT NULL
);
INSERT INTO state (only, revision) VALUES (1, 0);
CREATE TABLE client (
  id TEXT NOT NULL PRIMARY KEY,
  revision INTEGER NOT NULL,
  enabled INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  allow_overlap INTEGER NOT NULL,
  transports INTEGER NOT NULL,
  max_sessions INTEGER NOT NULL,
  session_policy INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  description TEXT NOT NULL,
  from_client_bytes_per_second INTEGER NOT NULL,
  from_client_burst_bytes INTEGER NOT NULL,
  to_client_bytes_per_second INTEGER NOT NULL,
  to_client_burst_bytes INTEGER NOT NULL,
  noise_public_key BLOB NOT NULL,
  wireguard_public_key BLOB,
  wireguard_preshared_key BLOB,
  noise_private_key BLOB,
  wireguard_private_key BLOB,
  previous_noise_public_key BLOB,
  previous_wireguard_public_key BLOB,
  previous_noise_private_key BLOB,
  previous_wireguard_private_key BLOB,
  rotation_until_ms INTEGER NOT NULL,
  rotation_seen INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE item (
  client_id TEXT NOT NULL REFERENCES client (id) ON DELETE CASCADE,
  kind INTEGER NOT NULL,
  position INTEGER NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (client_id, kind, position)
) WITHOUT ROWID;
CREATE TABLE claim (
  what BLOB NOT NULL PRIMARY KEY,
  client_id TEXT NOT NULL REFERENCES client (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX claim_by_client ON claim (client_id);
CREATE TABLE change (
  revision INTEGER PRIMARY KEY,
  client_id TEXT NOT NULL,
  removed INTEGER NOT NULL
);
)";

// Outlives the client: who is registered again with the same key must not take what was sent before.
constexpr const char* kSchema2 = R"(
CREATE TABLE handshake_stamp (
  wireguard_public_key BLOB NOT NULL PRIMARY KEY,
  label BLOB NOT NULL,
  noted_ms INTEGER NOT NULL
) WITHOUT ROWID;
)";

constexpr const char* kSteps[] = {kSchema1, kSchema2};

Result<void> set_number(SqliteDb& db, const char* pragma, int64_t value) {
  return db.run((std::string("PRAGMA ") + pragma + "=" + std::to_string(value)).c_str());
}

}  // namespace

std::span<const char* const> sqlite_schema_steps() noexcept { return kSteps; }

Result<int64_t> sqlite_schema_of(SqliteDb& db, int64_t last) {
  auto application = db.first_number("PRAGMA application_id");
  if (!application) return application;
  auto version = db.first_number("PRAGMA user_version");
  if (!version) return version;
  auto tables = db.first_number("SELECT count(*) FROM sqlite_master");
  if (!tables) return tables;
  const bool empty = *application == 0 && *version == 0 && *tables == 0;
  if (!empty && (*application != kSqliteApplicationId || *version < 1))
    return make_error(Status::SYSTEM, "the file is a database of another program's", "/registry/path");
  if (*version <= last) return *version;
  return make_error(Status::UNSUPPORTED,
                    "the file was written by a newer version: its schema is " + std::to_string(*version) +
                        ", this version knows " + std::to_string(last),
                    "/registry/path");
}

Result<void> migrate_sqlite(SqliteDb& db, int64_t from, std::span<const char* const> steps) {
  const auto target = static_cast<int64_t>(steps.size());
  if (from == target) return {};
  SqliteTransaction transaction(db);
  if (auto begun = transaction.begin(); !begun) return begun;
  for (auto step = from; step < target; ++step)
    if (auto done = db.run(steps[static_cast<size_t>(step)]); !done) return done;
  if (auto done = set_number(db, "application_id", kSqliteApplicationId); !done) return done;
  if (auto done = set_number(db, "user_version", target); !done) return done;
  return transaction.commit();
}

}  // namespace smartvpn::registry
