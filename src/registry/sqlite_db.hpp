// SQLite as the store needs it: a connection that wipes what it deletes and never waits long, statements
// whose failures are Results, and errors with errno and the configuration's path. Only the sqlite files of
// this room include it.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace smartvpn::registry {

// SYSTEM with errno for what the system refuses (ENOSPC, EROFS, EBUSY if another process has the file, EIO...)
// and for damage, NO_MEMORY, else INTERNAL. Always about "/registry/path". `last_errno`: errno as the failed call
// left it, of one that was entered with 0; SQLite itself keeps it only for failed opens.
Error sqlite_error(sqlite3* db, int code, const std::string& doing, int last_errno = 0);

// A prepared statement. Views that it gives live until its next step or reset. Must not outlive its connection.
class SqliteStatement {
 public:
  SqliteStatement() = default;
  explicit SqliteStatement(sqlite3_stmt* statement) : statement_(statement) {}

  // Parameters count from 1. Texts and blobs are not copied: they must live until reset. A failure shows at step.
  void bind(int index, int64_t value) noexcept;
  void bind(int index, std::string_view text) noexcept;
  void bind_blob(int index, ByteView bytes) noexcept;
  void bind_null(int index) noexcept;

  // True: a row is there. After an error or the last row, reset.
  Result<bool> step();
  // Steps to the end, ignoring rows, and resets.
  Result<void> run();
  void reset() noexcept;

  // Columns count from 0; what is of another type reads as 0, "" or empty.
  int64_t number(int column) const noexcept { return sqlite3_column_int64(statement_.get(), column); }
  std::string_view text(int column) const noexcept;
  bool out_of_memory() const noexcept { return out_of_memory_; }  // a text could not be given; the next step fails
  ByteView blob(int column) const noexcept;
  bool is_null(int column) const noexcept { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
  };
  void note(int code) noexcept {
    if (code != SQLITE_OK) bind_code_ = code;
  }

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bind_code_ = SQLITE_OK;
  mutable bool out_of_memory_ = false;
};

// Resets a statement at the end of its use, so that it never holds a read open.
class SqliteUse {
 public:
  explicit SqliteUse(SqliteStatement& statement) noexcept : statement_(statement) {}
  SqliteUse(const SqliteUse&) = delete;
  SqliteUse& operator=(const SqliteUse&) = delete;
  ~SqliteUse() { statement_.reset(); }

 private:
  SqliteStatement& statement_;
};

class SqliteDb {
 public:
  // An existing file, by an absolute path; exclusive to this process from its first read on.
  static Result<SqliteDb> open(const std::string& path);

  Result<void> run(const char* sql);  // one or several statements; rows are ignored
  Result<SqliteStatement> prepare(const std::string& sql);
  // The first column of the first row; nothing if there is no row.
  Result<std::optional<std::string>> first_text(const char* sql);
  Result<int64_t> first_number(const char* sql);
  bool in_transaction() const noexcept { return sqlite3_get_autocommit(db_.get()) == 0; }

 private:
  struct Close {
    void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
  };
  explicit SqliteDb(sqlite3* db) : db_(db) {}
  Result<void> configure();

  std::unique_ptr<sqlite3, Close> db_;
};

// Rolls back at its end what was begun and not committed.
class SqliteTransaction {
 public:
  explicit SqliteTransaction(SqliteDb& db) noexcept : db_(db) {}
  SqliteTransaction(const SqliteTransaction&) = delete;
  SqliteTransaction& operator=(const SqliteTransaction&) = delete;
  ~SqliteTransaction();

  Result<void> begin();
  Result<void> commit() { return db_.run("COMMIT"); }

 private:
  void roll_back();
  SqliteDb& db_;
};

}  // namespace smartvpn::registry
