#include "server/session_index.hpp"

#include <algorithm>

namespace smartvpn::server {

void SessionIndex::add(const std::string& client, uint64_t session, uint64_t lease, Time since) {
  Seats fresh;
  fresh.push_back({session, lease, since, false, false, client});
  seats_.emplace(session, fresh.begin());
  seats_in_order_.splice(seats_in_order_.end(), fresh);
  try {
    by_client_.emplace(client, session);
    by_lease_[lease] = session;
  } catch (...) {
    remove(session);
    throw;
  }
}

void SessionIndex::remove(uint64_t session) noexcept {
  auto found = seats_.find(session);
  if (found == seats_.end()) return;
  const Seats::iterator seat = found->second;
  if (auto leased = by_lease_.find(seat->lease); leased != by_lease_.end() && leased->second == session)
    by_lease_.erase(leased);
  auto [begin, end] = by_client_.equal_range(seat->client);
  auto entry = std::find_if(begin, end, [session](const auto& item) { return item.second == session; });
  if (entry != end) by_client_.erase(entry);
  (seat->condemned ? condemned_[ids_.shard_of(session)] : seats_in_order_).erase(seat);
  seats_.erase(found);
}

void SessionIndex::set_ending(uint64_t session) noexcept {
  if (auto found = seats_.find(session); found != seats_.end()) found->second->ending = true;
}

std::vector<const SessionIndex::Seat*> SessionIndex::of_client(const std::string& client) const {
  std::vector<const Seat*> out;
  auto [begin, end] = by_client_.equal_range(client);
  for (auto it = begin; it != end; ++it) out.push_back(&*seats_.at(it->second));
  return out;
}

std::vector<std::string> SessionIndex::clients() const {
  std::vector<std::string> out;
  for (const auto& [client, session] : by_client_) out.push_back(client);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

const std::string* SessionIndex::client_of(uint64_t session) const noexcept {
  const auto found = seats_.find(session);
  return found != seats_.end() ? &found->second->client : nullptr;
}

uint64_t SessionIndex::find_by_lease(uint64_t lease) const noexcept {
  auto found = by_lease_.find(lease);
  return found == by_lease_.end() ? 0 : found->second;
}

void SessionIndex::condemn(uint64_t session) noexcept {
  auto found = seats_.find(session);
  if (found == seats_.end() || found->second->ending || found->second->condemned) return;
  Seats& list = condemned_[ids_.shard_of(session)];
  found->second->condemned = true;
  found->second->ending = true;
  list.splice(list.end(), seats_in_order_, found->second);
}

uint64_t SessionIndex::take_condemned(size_t shard) noexcept {
  Seats& list = condemned_[shard];
  if (list.empty()) return 0;
  const Seats::iterator seat = list.begin();
  seat->condemned = false;
  seats_in_order_.splice(seats_in_order_.end(), list, seat);
  return seat->session;
}

}  // namespace smartvpn::server
