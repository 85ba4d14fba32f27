// The sqlite store's tables, and how a file of an older version becomes one of this version.
#pragma once

#include <span>

#include "registry/sqlite_db.hpp"

namespace smartvpn::registry {

constexpr int64_t kSqliteApplicationId = 0x7376706e;  // "svpn", in the file's header

// Step n makes schema n + 1 of schema n; schema 0 is an empty file. Steps that were released never change.
std::span<const char* const> sqlite_schema_steps() noexcept;

// The schema that the file has. UNSUPPORTED if it is later than `last`, SYSTEM for a file that is another
// program's. Only reads.
Result<int64_t> sqlite_schema_of(SqliteDb& db, int64_t last);

// Takes the file from schema `from` to the last that `steps` makes, all in one transaction.
Result<void> migrate_sqlite(SqliteDb& db, int64_t from, std::span<const char* const> steps);

}  // namespace smartvpn::registry
