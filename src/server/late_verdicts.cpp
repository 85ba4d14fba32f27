#include "server/late_verdicts.hpp"

#include <new>

namespace smartvpn::server {

void LateVerdicts::settle(uint64_t connection, const Authorizer::Outcome& outcome) noexcept {
  auto found = awaited_.find(connection);
  if (found == awaited_.end()) return;
  std::unique_ptr<LateVerdict> verdict = std::move(found->second);
  awaited_.erase(found);
  try {
    verdict->outcome = outcome;
  } catch (const std::bad_alloc&) {
    verdict->outcome = Authorizer::Outcome{Reason::out_of_memory, 0, {}, {}};
  }
  std::unique_ptr<LateVerdict>* last = &arrived_[ShardIds::shard_of_connection(connection)];
  while (*last) last = &(*last)->next;
  *last = std::move(verdict);
}

}  // namespace smartvpn::server
