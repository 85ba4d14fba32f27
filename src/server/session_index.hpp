// The live sessions of all shards by client and by lease: what admission counts, and how a shard finds out whose a
// session is that has to go. Part of what shards share (server/control.hpp), under its lock.
#pragma once

#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "server/shard_ids.hpp"

namespace smartvpn::server {

class SessionIndex {
 public:
  struct Seat {
    uint64_t session = 0;
    uint64_t lease = 0;
    Time since{};
    bool ending = false;     // its end was asked for
    bool condemned = false;  // its shard has still to hear that it should be
    std::string client;
  };
  explicit SessionIndex(size_t shards) : ids_(0, shards), condemned_(shards) {}

  // Throws with nothing changed.
  void add(const std::string& client, uint64_t session, uint64_t lease, Time since);
  // Unknown ids are ignored, here and below.
  void remove(uint64_t session) noexcept;
  void set_ending(uint64_t session) noexcept;

  size_t size() const noexcept { return seats_.size(); }
  size_t count(const std::string& client) const { return by_client_.count(client); }
  std::vector<const Seat*> of_client(const std::string& client) const;
  std::vector<std::string> clients() const;                       // those with a session, once each, in order
  const std::string* client_of(uint64_t session) const noexcept;  // null: no such session
  // The session of a lease; 0: none.
  uint64_t find_by_lease(uint64_t lease) const noexcept;

  // Another shard's session has to end: that shard finds it by take_condemned(). Needs no memory.
  void condemn(uint64_t session) noexcept;
  // One session of this shard's that has to end, once; 0: none (any more).
  uint64_t take_condemned(size_t shard) noexcept;

 private:
  using Seats = std::list<Seat>;
  const ShardIds ids_;  // to read ids by
  Seats seats_in_order_;
  std::vector<Seats> condemned_;  // by shard
  std::unordered_map<uint64_t, Seats::iterator> seats_;
  std::unordered_map<uint64_t, uint64_t> by_lease_;
  std::unordered_multimap<std::string, uint64_t> by_client_;
};

}  // namespace smartvpn::server
