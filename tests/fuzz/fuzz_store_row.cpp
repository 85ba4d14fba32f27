// A row of the durable store as a damaged file or a person's hand may leave it: columns of any type and value. It gives
// a client whose row reads back as itself, or SYSTEM with the configuration's path. Input: a byte of type for each
// column and what it needs, then items: a kind, a length and a text each.
#include <sqlite3.h>

#include "base/bytes.hpp"
#include "fuzz/require.hpp"
#include "registry/sqlite_codec.hpp"

using namespace smartvpn;
using namespace smartvpn::registry;

namespace {

using smartvpn::fuzz::require;

void check_error(const Error& error) {
  require(error.status == Status::SYSTEM && error.path == "/registry/path" && !error.text.empty());
}

struct Database {
  Database() {
    require(sqlite3_open(":memory:", &db) == SQLITE_OK);
    sqlite3_stmt* made = nullptr;
    const std::string sql = std::string("SELECT ") + kSqliteClientMarks;
    require(sqlite3_prepare_v2(db, sql.c_str(), -1, &made, nullptr) == SQLITE_OK);
    raw = made;
    row = SqliteStatement(made);
  }
  ~Database() {
    row = SqliteStatement();
    sqlite3_close(db);
  }
  sqlite3* db = nullptr;
  sqlite3_stmt* raw = nullptr;
  SqliteStatement row;
};

void bind_column(sqlite3_stmt* raw, int index, ByteReader& in) {
  const uint8_t type = in.u8();
  const size_t size = type & 0x80 ? 32 : (type >> 3) & 15;
  switch (type & 7) {
    case 0:
      sqlite3_bind_null(raw, index);
      break;
    case 1:
      sqlite3_bind_int64(raw, index, type >> 3);
      break;
    case 2:
      sqlite3_bind_int64(raw, index, static_cast<int64_t>(in.le64()));
      break;
    case 3:
      sqlite3_bind_double(raw, index, static_cast<double>(in.le64()) * 1e300);
      break;
    case 4:
    case 5: {
      const ByteView text = in.take(std::min(size, in.remaining()));
      sqlite3_bind_text(raw, index, reinterpret_cast<const char*>(text.data()), static_cast<int>(text.size()),
                        SQLITE_TRANSIENT);
      break;
    }
    default: {
      const ByteView blob = in.take(std::min(size, in.remaining()));
      sqlite3_bind_blob(raw, index, blob.data(), static_cast<int>(blob.size()), SQLITE_TRANSIENT);
    }
  }
}

Client read_again(Database& database, const Client& client) {
  SqliteUse use(database.row);
  bind_client_row(database.row, client, client.revision);
  auto there = database.row.step();
  require(there && *there);
  auto again = read_client_row(database.row);
  require(again.ok());
  return std::move(*again);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Database database;
  ByteReader in(ByteView(data, size));
  std::optional<Client> client;
  {
    SqliteUse use(database.row);
    for (int i = 1; i <= sqlite3_bind_parameter_count(database.raw); ++i) bind_column(database.raw, i, in);
    auto there = database.row.step();
    require(there && *there);
    auto read = read_client_row(database.row);
    if (!read) return check_error(read.error()), 0;
    client = std::move(*read);
  }
  require(read_again(database, *client) == *client);
  while (!in.at_end()) {
    const int64_t kind = static_cast<int8_t>(in.u8());
    const ByteView text = in.take(std::min<size_t>(in.u8(), in.remaining()));
    if (auto added = add_item(*client, kind, as_text(text)); !added) check_error(added.error());
  }
  Client again = read_again(database, *client);
  for (const auto& item : items_of(*client)) require(add_item(again, static_cast<int64_t>(item.kind), item.value).ok());
  require(again == *client);
  return 0;
}
