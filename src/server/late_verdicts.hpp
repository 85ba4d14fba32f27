// Verdicts that come after their question, on their way to the shard whose connection waits for one. The place of each
// is made when the question is asked, so that an answer always arrives. Under the lock of server/control.hpp.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "server/authorizer.hpp"
#include "server/shard_ids.hpp"

namespace smartvpn::server {

struct LateVerdict {
  uint64_t connection = 0;
  Authorizer::Outcome outcome;
  std::unique_ptr<LateVerdict> next;
};

class LateVerdicts {
 public:
  explicit LateVerdicts(size_t shards) : arrived_(shards) {}

  // Throws with nothing changed.
  void expect(uint64_t connection) {
    auto place = std::make_unique<LateVerdict>();
    place->connection = connection;
    awaited_[connection] = std::move(place);
  }
  void forget(uint64_t connection) noexcept { awaited_.erase(connection); }
  // Without memory for the host's words it is a refusal for want of memory. Ignored for whom nothing is expected.
  void settle(uint64_t connection, const Authorizer::Outcome& outcome) noexcept;
  bool any(size_t shard) const noexcept { return arrived_[shard] != nullptr; }
  // Those for a shard's connections, the oldest first.
  std::unique_ptr<LateVerdict> take(size_t shard) noexcept { return std::move(arrived_[shard]); }

 private:
  std::unordered_map<uint64_t, std::unique_ptr<LateVerdict>> awaited_;
  std::vector<std::unique_ptr<LateVerdict>> arrived_;  // chains, by shard
};

}  // namespace smartvpn::server
