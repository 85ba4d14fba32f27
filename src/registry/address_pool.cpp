// Leases over the subnets. A client's addresses are held as a set from the first offer to the last
// release, so whatever is promised in a handshake can be kept when it is confirmed.
#include "registry/address_pool.hpp"

#include <algorithm>

namespace smartvpn::registry {
namespace {

using inet::Family;
using inet::IpAddress;

// A client may wish for this many addresses; what follows is not looked at.
constexpr size_t kMaxWanted = 8;

bool contains(const std::vector<IpAddress>& list, const IpAddress& ip) {
  return std::find(list.begin(), list.end(), ip) != list.end();
}

}  // namespace

Result<AddressPool> AddressPool::create(const std::vector<inet::Cidr>& subnets, const std::string& path,
                                        size_t remembered) {
  AddressPool pool;
  for (size_t i = 0; i < subnets.size(); ++i) {
    const std::string here = path + "/" + std::to_string(i);
    for (size_t j = 0; j < i; ++j)
      if (subnets[i].overlaps(subnets[j]))
        return make_error(Status::INVALID, subnets[i].text() + " overlaps " + subnets[j].text(), here);
    auto subnet = SubnetPool::create(subnets[i], remembered, here);
    if (!subnet) return subnet.error();
    pool.subnets_.push_back(std::move(*subnet));
  }
  return pool;
}

std::vector<IpAddress> AddressPool::gateways() const {
  std::vector<IpAddress> out;
  for (const SubnetPool& subnet : subnets_) out.push_back(subnet.gateway());
  return out;
}

bool AddressPool::is_gateway(const IpAddress& ip) const {
  return std::any_of(subnets_.begin(), subnets_.end(), [&](const SubnetPool& s) { return s.gateway() == ip; });
}

bool AddressPool::assignable(const IpAddress& ip) const {
  return std::any_of(subnets_.begin(), subnets_.end(), [&](const SubnetPool& s) { return s.assignable(ip); });
}

std::vector<inet::Cidr> AddressPool::subnets() const {
  std::vector<inet::Cidr> out;
  for (const SubnetPool& subnet : subnets_) out.push_back(subnet.subnet());
  return out;
}

Result<void> AddressPool::reserve(const std::vector<IpAddress>& addresses, const std::string& client) {
  auto is_theirs = [&](const IpAddress& ip) {
    auto at = set_of_.find(ip);
    return client.empty() || at == set_of_.end() || at->second->client != client;
  };
  for (size_t i = 0; i < addresses.size(); ++i) {
    const std::string path = "/addresses/" + std::to_string(i), text = addresses[i].text();
    SubnetPool* subnet = subnet_of(addresses[i]);
    if (is_gateway(addresses[i])) return make_error(Status::INVALID, text + " is the gateway's", path);
    if (!subnet) return make_error(Status::INVALID, text + " is not a client address of any subnet", path);
    if (subnet->reserved(addresses[i])) return make_error(Status::EXISTS, text + " belongs to another client", path);
    if (subnet->in_use(addresses[i]) && is_theirs(addresses[i]))
      return make_error(Status::EXISTS, text + " is in use by a session now", path);
    if (std::find(addresses.begin(), addresses.begin() + static_cast<ptrdiff_t>(i), addresses[i]) !=
        addresses.begin() + static_cast<ptrdiff_t>(i))
      return make_error(Status::EXISTS, text + " is there twice", path);
  }
  for (const IpAddress& ip : addresses) subnet_of(ip)->reserve(ip);
  return {};
}

std::optional<IpAddress> AddressPool::reserve_any(Family family) {
  for (SubnetPool& subnet : subnets_) {
    if (subnet.subnet().base.family() != family) continue;
    if (auto ip = subnet.reserve_any()) return ip;
  }
  return std::nullopt;
}

void AddressPool::unreserve(const std::vector<IpAddress>& addresses) {
  for (const IpAddress& ip : addresses)
    if (SubnetPool* subnet = subnet_of(ip)) subnet->unreserve(ip);
}

Offer AddressPool::offer(const LeaseRequest& request) {
  auto lease = std::make_unique<Lease>();
  lease->sequence = ++sequence_;
  Set* set = lease->set = shareable(request);
  if (!set) set = lease->set = allocate(request);
  if (!set) return {Reason::no_address_left, 0, {}};
  Offer offer{Reason::no_address_left, 0, {}};
  try {
    offer.addresses = set->addresses;
    offer.lease = leases_.insert(std::move(lease));
  } catch (...) {
    if (set->leases == 0) destroy(set);
    throw;
  }
  if (offer.lease != 0) {
    offer.reason = Reason::none;
    ++set->leases;
  } else if (set->leases == 0) {
    destroy(set);
  }
  return offer;
}

bool AddressPool::can_commit(LeaseId id) const noexcept {
  const Lease* lease = leases_.find(id);
  if (!lease || lease->displaced) return false;
  const Set& set = *lease->set;
  return set.owner == id || set.owner == 0 || set.committed <= lease->sequence;
}

Commit AddressPool::commit(LeaseId id) noexcept {
  if (!can_commit(id)) return {};
  Lease* lease = leases_.find(id);
  Set& set = *lease->set;
  if (set.owner == id) return {true, 0};
  const LeaseId displaced = set.owner;
  if (Lease* old = leases_.find(displaced)) old->displaced = true;
  set.owner = id;
  set.committed = lease->sequence;
  return {true, displaced};
}

void AddressPool::release(LeaseId id) noexcept {
  auto lease = leases_.remove(id);
  if (!lease) return;
  Set* set = lease->set;
  if (set->owner == id) set->owner = 0;
  if (--set->leases == 0) destroy(set);
}

LeaseId AddressPool::owner_of(const IpAddress& ip) const {
  auto it = set_of_.find(ip);
  return it == set_of_.end() ? 0 : it->second->owner;
}

void AddressPool::forget(const std::string& client_id) {
  for (SubnetPool& subnet : subnets_) subnet.forget(client_id);
  auto it = sets_.find(client_id);
  if (it == sets_.end()) return;
  for (auto& set : it->second) set->forgotten = true;
}

SubnetPool* AddressPool::subnet_of(const IpAddress& ip) {
  for (SubnetPool& subnet : subnets_)
    if (subnet.assignable(ip)) return &subnet;
  return nullptr;
}

// The set a further session of a client must share, or null while it may have one more. Sets that no
// longer fit the entry's fixed addresses end with their sessions and do not count.
AddressPool::Set* AddressPool::shareable(const LeaseRequest& request) {
  auto it = sets_.find(request.client_id);
  if (it == sets_.end()) return nullptr;
  size_t fitting = 0;
  Set* best = nullptr;
  for (auto& set : it->second) {
    if (set->forgotten || !std::all_of(request.fixed.begin(), request.fixed.end(),
                                       [&](const IpAddress& ip) { return contains(set->addresses, ip); }))
      continue;
    ++fitting;
    auto age = [](const Set& s) { return s.owner == 0 ? 0 : s.committed; };
    if (!best || age(*set) < age(*best)) best = set.get();
  }
  return fitting < std::max<size_t>(request.max_sessions, 1) ? nullptr : best;
}

// Looks before it takes, so that a refusal changes nothing, not even what is remembered.
AddressPool::Set* AddressPool::allocate(const LeaseRequest& request) {
  for (const IpAddress& ip : request.fixed) {
    SubnetPool* subnet = subnet_of(ip);
    if (!subnet || subnet->in_use(ip)) return nullptr;
  }
  for (Family family : {Family::v4, Family::v6})
    if (has_family(family) && !can_take(family, request)) return nullptr;

  auto made = std::make_unique<Set>();
  made->client = request.client_id;
  made->addresses.reserve(2);
  Set* set = sets_[request.client_id].emplace_back(std::move(made)).get();
  try {
    for (Family family : {Family::v4, Family::v6}) {
      if (!has_family(family)) continue;
      set->addresses.push_back(take(family, request));
      set_of_[set->addresses.back()] = set;
    }
  } catch (...) {
    destroy(set);
    throw;
  }
  return set;
}

bool AddressPool::has_family(Family family) const {
  return std::any_of(subnets_.begin(), subnets_.end(),
                     [&](const SubnetPool& s) { return s.subnet().base.family() == family; });
}

bool AddressPool::can_take(Family family, const LeaseRequest& request) {
  auto fixed = [&](const IpAddress& ip) { return ip.family() == family; };
  if (std::any_of(request.fixed.begin(), request.fixed.end(), fixed)) return true;
  return std::any_of(subnets_.begin(), subnets_.end(),
                     [&](SubnetPool& s) { return s.subnet().base.family() == family && s.has_free(); });
}

IpAddress AddressPool::take(Family family, const LeaseRequest& request) {
  for (const IpAddress& ip : request.fixed) {
    if (ip.family() != family) continue;
    subnet_of(ip)->take(ip, true);
    return ip;
  }
  for (size_t i = 0; i < std::min(request.wanted.size(), kMaxWanted); ++i) {
    const IpAddress& ip = request.wanted[i];
    SubnetPool* subnet = ip.family() == family ? subnet_of(ip) : nullptr;
    if (subnet && subnet->take(ip)) return ip;
  }
  for (SubnetPool& subnet : subnets_) {
    if (subnet.subnet().base.family() != family) continue;
    if (auto ip = subnet.take_remembered(request.client_id)) return *ip;
  }
  for (SubnetPool& subnet : subnets_) {
    if (subnet.subnet().base.family() != family) continue;
    if (auto ip = subnet.take_any()) return *ip;
  }
  return {};
}

void AddressPool::destroy(Set* set) noexcept {
  const std::string nobody;
  for (const IpAddress& ip : set->addresses) {
    set_of_.erase(ip);
    subnet_of(ip)->give_back(ip, set->forgotten ? nobody : set->client);
  }
  auto it = sets_.find(set->client);
  if (it == sets_.end()) return;
  std::erase_if(it->second, [&](const auto& other) { return other.get() == set; });
  if (it->second.empty()) sets_.erase(it);
}

}  // namespace smartvpn::registry
