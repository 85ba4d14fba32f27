#include "server/session_table.hpp"

#include <algorithm>

namespace smartvpn::server {

LiveSession* SessionTable::add(std::unique_ptr<LiveSession> session) {
  LiveSession* added = session.get();
  added->id = sessions_.next_id();
  if (added->id == 0) return nullptr;
  sessions_.insert(std::move(session));
  try {
    by_client_.emplace(added->client_id, added->id);
    by_lease_[added->lease] = added->id;
  } catch (...) {
    remove(added->id);
    throw;
  }
  return added;
}

LiveSession* SessionTable::find_by_lease(uint64_t lease) const {
  auto it = by_lease_.find(lease);
  return it == by_lease_.end() ? nullptr : sessions_.find(it->second);
}

std::unique_ptr<LiveSession> SessionTable::remove(uint64_t id) noexcept {
  auto session = sessions_.remove(id);
  if (!session) return nullptr;
  by_lease_.erase(session->lease);
  auto [begin, end] = by_client_.equal_range(session->client_id);
  for (auto it = begin; it != end; ++it) {
    if (it->second == id) {
      by_client_.erase(it);
      break;
    }
  }
  return session;
}

std::vector<uint64_t> SessionTable::of_client(const std::string& client_id) const {
  std::vector<uint64_t> ids;
  auto [begin, end] = by_client_.equal_range(client_id);
  for (auto it = begin; it != end; ++it) ids.push_back(it->second);
  return ids;
}

std::vector<std::string> SessionTable::clients() const {
  std::vector<std::string> out;
  for (const auto& [client, session] : by_client_) out.push_back(client);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace smartvpn::server
