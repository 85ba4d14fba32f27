// Who owns which inner address: registered clients (live or not), our own addresses, and the pool.
// One table belongs to one shard, which changes it in place between batches; that keeps a change at
// 10,000 sessions as cheap as at ten (a new immutable snapshot per session would copy all of them),
// and a lookup needs neither lock nor allocation because only its own thread writes.
// A copy is an independent snapshot for whoever wants one.
#pragma once

#include <cstdint>
#include <vector>

#include "inet/address.hpp"
#include "inet/prefix_trie.hpp"
#include "router/host_map.hpp"

namespace smartvpn::router {

enum class RouteKind : uint8_t {
  none,       // not ours: beyond the engine
  client,     // a registered client's address or subnet, or a live session's lease
  gateway,    // our own address in an inner subnet
  host,       // another address of the machine we run on
  pool,       // inside an inner subnet, nobody's at the moment
  broadcast,  // first and last address of an inner IPv4 subnet
};

struct RouteEntry {
  RouteKind kind = RouteKind::none;
  bool registered = false;  // stays when its session goes
  uint8_t prefix = 0;       // length of the matching prefix
  uint64_t session = 0;     // 0: not live
  uint64_t client = 0;      // the caller's number for the registry entry, 0 if it has none
};

struct RouteNetwork {
  std::vector<inet::Cidr> subnets;              // inner networks, both families
  std::vector<inet::IpAddress> gateways;        // our address in each
  std::vector<inet::IpAddress> host_addresses;  // other addresses of this machine
};

class RouteTable {
 public:
  // Replaces subnets, gateways and host addresses; clients and sessions stay. An address that is both
  // a client's and ours is ours.
  void set_network(const RouteNetwork& network);

  // A registered client's fixed address or routed subnet. Replaces another client's entry for exactly
  // this prefix (the registry has refused duplicates before). A session that holds it stays attached.
  void add_client(const inet::Cidr& prefix, uint64_t client);
  // Removes the registration if it is this client's. A live session keeps the prefix until detach().
  void remove_client(const inet::Cidr& prefix, uint64_t client);

  // Gives a prefix (fixed address, lease, routed subnet) to a session; takes it from any other.
  // Gives the session that had it, 0 if none.
  bool has(const inet::Cidr& prefix) noexcept { return find(prefix) != nullptr; }
  uint64_t attach(const inet::Cidr& prefix, uint64_t session, uint64_t client);
  // Takes it away again, if it is still this session's.
  void detach(const inet::Cidr& prefix, uint64_t session);

  // The most specific entry for an address; kind none if there is none. Valid until the next change.
  const RouteEntry& lookup(const inet::IpAddress& ip) const noexcept;
  uint64_t session_of(const inet::IpAddress& ip) const noexcept { return lookup(ip).session; }
  // Of exactly this prefix; 0: none.
  uint64_t session_at(const inet::Cidr& prefix) noexcept {
    const RouteEntry* entry = find(prefix);
    return entry ? entry->session : 0;
  }
  bool owns(uint64_t session, const inet::IpAddress& ip) const noexcept {
    return session != 0 && lookup(ip).session == session;
  }
  size_t size() const noexcept { return hosts_.size() + subnets_.size(); }

 private:
  RouteEntry* find(const inet::Cidr& prefix) noexcept;
  void store(const inet::Cidr& prefix, const RouteEntry& entry);
  void erase(const inet::Cidr& prefix);

  HostMap<RouteEntry> hosts_;             // /32 and /128: one probe for almost every packet
  inet::PrefixTrie<RouteEntry> subnets_;  // everything shorter
  HostMap<RouteEntry> own_;               // gateways, host addresses, broadcast addresses
  inet::PrefixTrie<RouteEntry> pools_;
};

}  // namespace smartvpn::router
