#include "server/session_table.hpp"

namespace smartvpn::server {

LiveSession* SessionTable::add(std::unique_ptr<LiveSession> session) {
  LiveSession* added = session.get();
  added->id = ids_.session_id(sessions_.next_id());
  if (added->id == 0) return nullptr;
  sessions_.insert(std::move(session));
  return added;
}

std::unique_ptr<LiveSession> SessionTable::remove(uint64_t id) noexcept {
  return ids_.is_mine(id) ? sessions_.remove(ids_.slot_id(id)) : nullptr;
}

}  // namespace smartvpn::server
