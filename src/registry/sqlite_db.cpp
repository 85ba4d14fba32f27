// The connection's settings, and SQLite's codes in the library's words.
#include "registry/sqlite_db.hpp"

#include <cerrno>
#include <new>

namespace smartvpn::registry {
namespace {

constexpr int kBusyMs = 1000;  // a server that is just ending may still have the file
constexpr const char* kPath = "/registry/path";

// The errno behind a code.
int errno_of(sqlite3* db, int code, int last_errno) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return ENOSPC;
    case SQLITE_READONLY:
      return EROFS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return EBUSY;
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return EACCES;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: {
      if (last_errno != 0) return last_errno;
      const int kept = db ? sqlite3_system_errno(db) : 0;
      return kept != 0 ? kept : EIO;
    }
    default:
      return 0;
  }
}

}  // namespace

Error sqlite_error(sqlite3* db, int code, const std::string& doing, int last_errno) {
  switch (code & 0xff) {
    case SQLITE_NOMEM:
      return make_error(Status::NO_MEMORY, status_text(static_cast<int32_t>(Status::NO_MEMORY)), kPath);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: {
      Error error = system_error(EBUSY, doing, kPath);
      error.text += " (another server or program has the file open)";
      return error;
    }
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return make_error(Status::SYSTEM, doing + ": the file is damaged or no registry (" + sqlite3_errstr(code) + ")",
                        kPath);
    default:
      break;
  }
  if (const int number = errno_of(db, code, last_errno); number != 0) return system_error(number, doing, kPath);
  return make_error(Status::INTERNAL, doing + ": " + (db ? sqlite3_errmsg(db) : sqlite3_errstr(code)), kPath);
}

void SqliteStatement::bind(int index, int64_t value) noexcept {
  note(sqlite3_bind_int64(statement_.get(), index, value));
}

void SqliteStatement::bind(int index, std::string_view text) noexcept {
  // A null pointer would bind NULL.
  const char* data = text.data() ? text.data() : "";
  note(sqlite3_bind_text64(statement_.get(), index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void SqliteStatement::bind_blob(int index, ByteView bytes) noexcept {
  note(sqlite3_bind_blob64(statement_.get(), index, bytes.data(), bytes.size(), SQLITE_STATIC));
}

void SqliteStatement::bind_null(int index) noexcept { note(sqlite3_bind_null(statement_.get(), index)); }

Result<bool> SqliteStatement::step() {
  sqlite3* db = sqlite3_db_handle(statement_.get());
  if (bind_code_ != SQLITE_OK) return sqlite_error(db, bind_code_, "binding a value");
  if (out_of_memory_) return sqlite_error(db, SQLITE_NOMEM, {});
  errno = 0;
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  const int last = errno;
  return sqlite_error(db, code, "the registry's file", last);
}

Result<void> SqliteStatement::run() {
  SqliteUse use(*this);
  for (;;) {
    auto row = step();
    if (!row) return std::move(row).error();
    if (!*row) return {};
  }
}

void SqliteStatement::reset() noexcept {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  bind_code_ = SQLITE_OK;
  out_of_memory_ = false;
}

// SQLite gives nothing, too, for a text that it has no memory to end with a NUL: the next step says so.
std::string_view SqliteStatement::text(int column) const noexcept {
  const bool present = !is_null(column);
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (present && !data) out_of_memory_ = true;
  return data ? std::string_view(data, static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column)))
              : std::string_view();
}

ByteView SqliteStatement::blob(int column) const noexcept {
  if (sqlite3_column_type(statement_.get(), column) != SQLITE_BLOB) return {};
  const auto* data = static_cast<const uint8_t*>(sqlite3_column_blob(statement_.get(), column));
  return {data, static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

Result<SqliteDb> SqliteDb::open(const std::string& path) {
  if (sqlite3_threadsafe() == 0) return make_error(Status::UNSUPPORTED, "this SQLite was built for one thread", kPath);
  sqlite3* raw = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  SqliteDb db(raw);
  if (code != SQLITE_OK) return sqlite_error(raw, code, path);
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, kBusyMs);
  if (auto configured = db.configure(); !configured) return std::move(configured).error();
  return db;
}

Result<void> SqliteDb::configure() {
  struct Switch {
    int name, on;
  };
  for (const Switch& s : {Switch{SQLITE_DBCONFIG_ENABLE_FKEY, 1},
                          {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                          {SQLITE_DBCONFIG_DEFENSIVE, 1},
                          {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}}) {
    int now = -1;
    const int code = sqlite3_db_config(db_.get(), s.name, s.on, &now);
    if (code != SQLITE_OK || now != s.on) return sqlite_error(db_.get(), SQLITE_ERROR, "a setting of SQLite's");
  }
  // No mapping: a file cut short by somebody would end the process. No temporary files: they would lie elsewhere.
  return run(
      "PRAGMA locking_mode=EXCLUSIVE; PRAGMA secure_delete=ON; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;"
      "PRAGMA temp_store=MEMORY");
}

Result<void> SqliteDb::run(const char* sql) {
  errno = 0;
  const int code = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return {};
  const int last = errno;
  return sqlite_error(db_.get(), code, "the registry's file", last);
}

Result<SqliteStatement> SqliteDb::prepare(const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(db_.get(), sql.c_str(), static_cast<int>(sql.size() + 1),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  SqliteStatement statement(raw);
  if (code != SQLITE_OK) return sqlite_error(db_.get(), code, "the registry's file");
  return statement;
}

Result<std::optional<std::string>> SqliteDb::first_text(const char* sql) {
  auto statement = prepare(sql);
  if (!statement) return std::move(statement).error();
  auto row = statement->step();
  if (!row) return std::move(row).error();
  if (!*row) return std::optional<std::string>();
  std::string text(statement->text(0));
  if (statement->out_of_memory()) return sqlite_error(db_.get(), SQLITE_NOMEM, {});
  return std::optional<std::string>(std::move(text));
}

Result<int64_t> SqliteDb::first_number(const char* sql) {
  auto statement = prepare(sql);
  if (!statement) return std::move(statement).error();
  auto row = statement->step();
  if (!row) return std::move(row).error();
  return *row ? statement->number(0) : 0;
}

SqliteTransaction::~SqliteTransaction() {
  try {
    roll_back();
  } catch (const std::bad_alloc&) {
    return;  // of the error's text; begin() tries again
  }
}

// After some failures SQLite has rolled back itself.
void SqliteTransaction::roll_back() {
  if (db_.in_transaction()) (void)db_.run("ROLLBACK").ok();
}

Result<void> SqliteTransaction::begin() {
  roll_back();  // what an earlier one had no memory to
  return db_.run("BEGIN IMMEDIATE");
}

}  // namespace smartvpn::registry
