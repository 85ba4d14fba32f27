// See sqlite_stamps.hpp.
#include "registry/sqlite_stamps.hpp"

#include <algorithm>

namespace smartvpn::registry {

Result<void> SqliteStamps::prepare(SqliteDb& db) {
  const std::pair<SqliteStatement*, const char*> all[] = {
      {&save_,
       "INSERT INTO handshake_stamp (wireguard_public_key, label, noted_ms) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
       "label = max(label, excluded.label), noted_ms = excluded.noted_ms"},
      {&load_, "SELECT wireguard_public_key, label, noted_ms FROM handshake_stamp ORDER BY wireguard_public_key"},
      {&remove_, "DELETE FROM handshake_stamp WHERE wireguard_public_key = ?"},
  };
  for (const auto& [statement, sql] : all) {
    auto prepared = db.prepare(sql);
    if (!prepared) return std::move(prepared).error();
    *statement = std::move(*prepared);
  }
  return {};
}

Result<void> SqliteStamps::save(const std::vector<HandshakeStamp>& stamps) {
  for (const HandshakeStamp& stamp : stamps) {
    save_.bind_blob(1, stamp.key);
    save_.bind_blob(2, stamp.label);
    save_.bind(3, stamp.noted_ms);
    if (auto saved = save_.run(); !saved) return saved;
  }
  return {};
}

Result<std::vector<HandshakeStamp>> SqliteStamps::load() {
  SqliteUse use(load_);
  std::vector<HandshakeStamp> out;
  for (;;) {
    auto row = load_.step();
    if (!row) return std::move(row).error();
    if (!*row) return out;
    const ByteView key = load_.blob(0), label = load_.blob(1);
    HandshakeStamp stamp;
    if (key.size() != stamp.key.size() || label.size() != stamp.label.size())
      return make_error(Status::SYSTEM, "the registry's file is damaged: a handshake's stamp has another size",
                        "/registry/path");
    std::copy(key.begin(), key.end(), stamp.key.begin());
    std::copy(label.begin(), label.end(), stamp.label.begin());
    stamp.noted_ms = load_.number(2);
    out.push_back(stamp);
  }
}

Result<void> SqliteStamps::remove(const PublicKey& key) {
  remove_.bind_blob(1, key);
  return remove_.run();
}

}  // namespace smartvpn::registry
