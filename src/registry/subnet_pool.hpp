// The addresses of one subnet: which are in use, which belong to fixed clients, and who had the free
// ones last. Costs memory by what is used and remembered, never by the size of the subnet.
#pragma once

#include <list>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.hpp"
#include "inet/address.hpp"

namespace smartvpn::registry {

class SubnetPool {
 public:
  // Not given out: the base address (network, or IPv6 subnet-router anycast), the gateway, which is
  // the first address after it, and the IPv4 broadcast address. INVALID (with `path`) for IPv4 outside
  // /8../30, IPv6 outside /16../126, multicast, loopback, link-local or unspecified bases, host bits.
  static Result<SubnetPool> create(const inet::Cidr& subnet, size_t remembered, const std::string& path);

  SubnetPool(SubnetPool&&) noexcept = default;
  SubnetPool& operator=(SubnetPool&&) noexcept = default;
  SubnetPool(const SubnetPool&) = delete;  // the tables point into each other
  SubnetPool& operator=(const SubnetPool&) = delete;

  const inet::Cidr& subnet() const noexcept { return subnet_; }
  const inet::IpAddress& gateway() const noexcept { return gateway_; }
  // An address a client can have at all.
  bool assignable(const inet::IpAddress& ip) const noexcept;
  bool in_use(const inet::IpAddress& ip) const { return in_use_.count(ip) != 0; }
  bool reserved(const inet::IpAddress& ip) const { return reserved_.count(ip) != 0; }

  // Fixed addresses are never leased; one in use stays so until given back. False if already reserved
  // or not assignable.
  bool reserve(const inet::IpAddress& ip);
  // A free one; none when there is none.
  std::optional<inet::IpAddress> reserve_any();
  void unreserve(const inet::IpAddress& ip);

  // Exactly this address; reserved ones only with `as_fixed`. False if not assignable or in use.
  bool take(const inet::IpAddress& ip, bool as_fixed = false);
  // The address this client had most recently and that is free now.
  std::optional<inet::IpAddress> take_remembered(const std::string& client);
  // Any free one: the lowest never given out or forgotten, then the one given back longest ago.
  std::optional<inet::IpAddress> take_any();
  // Whether take_any() would give one. Not const: it walks on to the next free address.
  bool has_free() { return find_any().has_value(); }
  // Gives a taken address back; `client` (if not empty) may find it again, if there is memory for that.
  void give_back(const inet::IpAddress& ip, const std::string& client) noexcept;
  void forget(const std::string& client);

  size_t in_use_count() const noexcept { return in_use_.size(); }
  size_t remembered_count() const noexcept { return past_.size(); }

 private:
  struct Past {
    inet::IpAddress ip;
    std::string client;
  };
  using PastList = std::list<Past>;  // longest ago first
  using AddressSet = std::unordered_set<inet::IpAddress, inet::IpAddressHash>;

  SubnetPool(const inet::Cidr& subnet, size_t remembered);
  void drop_memory_of(const inet::IpAddress& ip);
  void remember(const inet::IpAddress& ip, const std::string& client);
  // A free, unremembered address becomes findable again.
  void make_available(const inet::IpAddress& ip);
  void occupy(const inet::IpAddress& ip);
  std::optional<inet::IpAddress> find_any();
  // Moves next_ up to the lowest free address that nobody remembers, and leaves it there.
  std::optional<inet::IpAddress> walk();

  inet::Cidr subnet_;
  inet::IpAddress gateway_, last_;
  inet::IpAddress next_;     // free addresses above it are found by walking
  bool walked_all_ = false;  // next_ has passed last_
  size_t remembered_limit_;
  std::set<inet::IpAddress> in_use_;
  AddressSet reserved_;
  std::set<inet::IpAddress> available_;  // below next_, free, nobody's memory; shares nodes with in_use_
  PastList past_;
  std::unordered_map<inet::IpAddress, PastList::iterator, inet::IpAddressHash> past_by_address_;
  std::unordered_map<std::string, std::vector<inet::IpAddress>> past_by_client_;  // longest ago first
};

}  // namespace smartvpn::registry
