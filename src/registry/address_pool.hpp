// Inner addresses of sessions (behaviour.md, "Clients, sessions, addresses"): one of every configured
// family each. A lease is offered when a client has proven its key, committed when its first data
// message opens, released when the session ends; an address moves to a newer session only at commit.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/reason.hpp"
#include "base/slot_map.hpp"
#include "registry/subnet_pool.hpp"

namespace smartvpn::registry {

using LeaseId = uint64_t;  // never 0; a released id finds nothing

struct LeaseRequest {
  std::string client_id;
  std::vector<inet::IpAddress> fixed;   // the entry's own addresses; families not named are leased
  std::vector<inet::IpAddress> wanted;  // a wish, untrusted
  uint32_t max_sessions = 1;
};

struct Offer {
  Reason reason = Reason::none;  // none, or no_address_left
  LeaseId lease = 0;
  std::vector<inet::IpAddress> addresses;  // IPv4 before IPv6; in the order of the subnets
};

struct Commit {
  bool ok = false;        // false: no such lease, or a newer session of the client has its addresses
  LeaseId displaced = 0;  // the older committed lease of the same client that lost its addresses here
};

// Single-threaded. A client has at most `max_sessions` sets of addresses at any time, tentative ones
// included; a further offer shares a set, first of a half-open connection, else of the oldest session,
// and whoever commits later has it.
class AddressPool {
 public:
  // `subnets`: several of one family are used one after the other. Overlaps are INVALID with
  // `path`/<index>. `remembered` bounds the past leases kept per subnet. No subnet: empty leases.
  static Result<AddressPool> create(const std::vector<inet::Cidr>& subnets,
                                    const std::string& path = "/network/subnets", size_t remembered = 65536);

  std::vector<inet::IpAddress> gateways() const;  // one a subnet, in their order
  bool is_gateway(const inet::IpAddress& ip) const;
  std::vector<inet::Cidr> subnets() const;
  bool has_family(inet::Family family) const;
  // The subnet holds it and a client may have it.
  bool assignable(const inet::IpAddress& ip) const;

  // For entries with fixed addresses. All or none. INVALID outside the subnets, for a gateway, network
  // or broadcast address; EXISTS if another entry has it or a session uses it now, unless it is a session of
  // `client`. Paths are "/addresses/<index>".
  Result<void> reserve(const std::vector<inet::IpAddress>& addresses, const std::string& client = {});
  // A free one of this family, reserved for good. None if there is no such subnet, or it has no free address.
  std::optional<inet::IpAddress> reserve_any(inet::Family family);
  // Sessions that use one keep it until they are released.
  void unreserve(const std::vector<inet::IpAddress>& addresses);

  // Throws std::bad_alloc with nothing taken.
  Offer offer(const LeaseRequest& request);
  // Committing twice is harmless. A displaced lease stays valid until released, but owns nothing.
  Commit commit(LeaseId lease) noexcept;
  bool can_commit(LeaseId lease) const noexcept;  // whether it would be ok
  // Unknown ids are ignored, so it may be called wherever a connection ends.
  void release(LeaseId lease) noexcept;
  // The committed lease that owns the address now; 0: none.
  LeaseId owner_of(const inet::IpAddress& ip) const;
  // Past leases of a removed client are not kept for the next one with its id.
  void forget(const std::string& client_id);

  size_t leases() const noexcept { return leases_.size(); }

 private:
  // One address a family, held by a client as long as any lease, tentative or not, is on it.
  struct Set {
    std::string client;
    std::vector<inet::IpAddress> addresses;
    LeaseId owner = 0;       // committed; 0: only half-open connections
    uint64_t committed = 0;  // sequence number of the owner's offer
    size_t leases = 0;
    bool forgotten = false;  // the client was removed meanwhile
  };
  struct Lease {
    Set* set = nullptr;
    uint64_t sequence = 0;  // later offers are newer sessions
    bool displaced = false;
  };

  AddressPool() = default;
  SubnetPool* subnet_of(const inet::IpAddress& ip);
  Set* shareable(const LeaseRequest& request);
  Set* allocate(const LeaseRequest& request);
  bool can_take(inet::Family family, const LeaseRequest& request);
  inet::IpAddress take(inet::Family family, const LeaseRequest& request);
  void destroy(Set* set) noexcept;

  std::vector<SubnetPool> subnets_;
  SlotMap<Lease> leases_;
  std::unordered_map<std::string, std::vector<std::unique_ptr<Set>>> sets_;  // by client
  std::unordered_map<inet::IpAddress, Set*, inet::IpAddressHash> set_of_;
  uint64_t sequence_ = 0;
};

}  // namespace smartvpn::registry
