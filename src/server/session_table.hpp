// The live sessions of a shard: who they are, where their packets go, and what they have done so far.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "acl/destination_policy.hpp"
#include "base/slot_map.hpp"
#include "inet/icmp.hpp"
#include "registry/client.hpp"
#include "server/session_limits.hpp"
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
  std::vector<inet::IpAddress> fixed;  // the entry's, when it was last held against it
  std::vector<inet::Cidr> subnets;     // routed to it
  session::Link* link = nullptr;       // valid until the session is removed
  int64_t since_ms = 0;                // wall clock
  Time since{};
  int64_t expires_at_ms = 0;                        // of the client's entry; 0: never
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
  // The session knows its id afterwards. Null when every slot is taken; throws with nothing changed.
  LiveSession* add(std::unique_ptr<LiveSession> session);
  LiveSession* find(uint64_t id) const { return sessions_.find(id); }
  LiveSession* find_by_lease(uint64_t lease) const;
  std::unique_ptr<LiveSession> remove(uint64_t id) noexcept;
  size_t size() const { return sessions_.size(); }

  template <class Fn>
  void for_each(Fn&& fn) {
    sessions_.for_each([&](uint64_t, LiveSession& session) { fn(session); });
  }
  // Ids of a client's sessions; a copy, because acting on them changes the table.
  std::vector<uint64_t> of_client(const std::string& client_id) const;
  std::vector<std::string> clients() const;  // those with a session, once each, in order

 private:
  SlotMap<LiveSession> sessions_;
  std::unordered_map<uint64_t, uint64_t> by_lease_;
  std::unordered_multimap<std::string, uint64_t> by_client_;
};

}  // namespace smartvpn::server
