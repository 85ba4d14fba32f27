// A client as the sqlite store's rows: one of `client`, and one of `item` for each entry of its lists.
#pragma once

#include "registry/client.hpp"
#include "registry/sqlite_db.hpp"

namespace smartvpn::registry {

// The columns of `client` in the order of the two functions below, and as many question marks.
extern const char* const kSqliteClientColumns;
extern const char* const kSqliteClientMarks;

// Binds an INSERT of those columns. `client` must live until the statement is reset.
void bind_client_row(SqliteStatement& insert, const Client& client, uint64_t revision);
// The client of a SELECT of those columns, without its lists. SYSTEM if the row is damaged.
Result<Client> read_client_row(const SqliteStatement& row);

// What an `item` belongs to; the numbers are in files.
enum class ItemKind : uint8_t {
  address = 0,
  subnet = 1,
  tag = 2,
  ip_allow = 3,
  ip_block = 4,
  destination_allow = 5,
  destination_block = 6,
};

struct Item {
  ItemKind kind;
  int64_t position;
  std::string value;
};

std::vector<Item> items_of(const Client& client);
// Appends an item that was read back; SYSTEM if it is damaged. Items come in order of kind and position.
Result<void> add_item(Client& client, int64_t kind, std::string_view value);

}  // namespace smartvpn::registry
