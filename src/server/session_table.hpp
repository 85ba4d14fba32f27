// The live sessions of a shard: who they are, where their packets go, and what they have done so far. By client and
// lease they are found in the index of all shards (server/session_index.hpp).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "acl/destination_policy.hpp"
#include "base/slot_map.hpp"
#include "inet/icmp.hpp"
#include "registry/client.hpp"
#include "server/route_log.hpp"
#include "server/session_limits.hpp"
#include "server/shard_ids.hpp"
#include "session/link.hpp"
#include "telemetry/counters.hpp"
#include "telemetry/link_quality.hpp"

namespace smartvpn::server {

struct LiveSession {
  uint64_t id = 0;
  uint64_t connection = 0;   // Connection::id
  uint64_t lease = 0;        // registry::LeaseId
  session::Connection peer;  // a copy: addresses, listener, transport
  std::string client_id;
  uint64_t client_number = 0;  // ClientDirectory::Found::number
  PublicKey key{};             // that it has proven
  std::vector<inet::IpAddress> addresses;
  std::vector<inet::IpAddress> fixed;     // the entry's, when it was last held against it
  std::vector<inet::Cidr> subnets;        // routed to it
  session::Link* link = nullptr;          // valid until the session is removed
  std::unique_ptr<RouteChange> farewell;  // takes all its routes away, and is made before they are given
  int64_t since_ms = 0;                   // wall clock
  Time since{};
  int64_t expires_at_ms = 0;                        // of the client's entry; 0: never
  int64_t rotation_until_ms = 0;                    // when a rotation of the client's keys is over; 0: there is none
  Time authorized_until = kNever;                   // the host's allow was for so long
  std::optional<registry::RateLimit> granted_rate;  // the host's, beside the client's own: the narrower holds
  bool roamed = false;                              // since it was told
  Time roaming_told{};                              // a session_roamed
  Reason ending = Reason::none;                     // set once its end was asked for
  Reason ended = Reason::none;                      // why, once it is over
  int64_t ended_ms = 0;                             // wall clock
  uint64_t lasted_ms = 0;                           // by the monotonic clock
  std::unique_ptr<LiveSession> next_untold;         // see Reporter::session_down
  telemetry::SessionCounters counters;
  telemetry::LinkEstimator quality;
  inet::IcmpLimiter icmp;
  std::shared_ptr<ClientAccount> account;
  std::shared_ptr<const acl::DestinationPolicy> destinations;  // null: everywhere
  std::unique_ptr<SessionLimits> limits;                       // null: none
};

class SessionTable {
 public:
  explicit SessionTable(ShardIds ids = {}) noexcept : ids_(ids) {}

  // The session knows its id afterwards. Null when every slot is taken; throws with nothing changed.
  LiveSession* add(std::unique_ptr<LiveSession> session);
  // Null for sessions of other shards as well.
  LiveSession* find(uint64_t id) const { return ids_.is_mine(id) ? sessions_.find(ids_.slot_id(id)) : nullptr; }
  std::unique_ptr<LiveSession> remove(uint64_t id) noexcept;
  size_t size() const { return sessions_.size(); }
  const ShardIds& ids() const noexcept { return ids_; }

  template <class Fn>
  void for_each(Fn&& fn) {
    sessions_.for_each([&](uint64_t, LiveSession& session) { fn(session); });
  }

 private:
  const ShardIds ids_;
  SlotMap<LiveSession> sessions_;
};

}  // namespace smartvpn::server
