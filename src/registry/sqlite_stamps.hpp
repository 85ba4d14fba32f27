// The rows of `handshake_stamp`: the greatest TAI64N label of every WireGuard key that ever came. Transactions are the
// store's.
#pragma once

#include "registry/sqlite_db.hpp"
#include "registry/store.hpp"

namespace smartvpn::registry {

class SqliteStamps {
 public:
  Result<void> prepare(SqliteDb& db);  // which outlives this

  // Each unless there is a greater label of its key.
  Result<void> save(const std::vector<HandshakeStamp>& stamps);
  Result<std::vector<HandshakeStamp>> load();  // in order of key; SYSTEM for rows that cannot be
  Result<void> remove(const PublicKey& key);

 private:
  SqliteStatement save_, load_, remove_;
};

}  // namespace smartvpn::registry
