#include "router/route_table.hpp"

namespace smartvpn::router {
namespace {

const RouteEntry kNobody{};

bool is_host(const inet::Cidr& prefix) { return prefix.prefix == prefix.base.bits(); }

RouteEntry own_address(RouteKind kind, const inet::IpAddress& ip) {
  RouteEntry entry;
  entry.kind = kind;
  entry.prefix = static_cast<uint8_t>(ip.bits());
  return entry;
}

}  // namespace

void RouteTable::set_network(const RouteNetwork& network) {
  own_.clear();
  pools_.clear();
  for (const auto& subnet : network.subnets) {
    RouteEntry entry;
    entry.kind = RouteKind::pool;
    entry.prefix = subnet.prefix;
    pools_.insert(subnet, entry);
    if (!subnet.base.is_v4() || subnet.prefix > 30) continue;  // /31 and /32 have no broadcast (RFC 3021)
    for (const auto& ip : {subnet.base, subnet.last()}) own_.set(ip, own_address(RouteKind::broadcast, ip));
  }
  for (const auto& ip : network.host_addresses) own_.set(ip, own_address(RouteKind::host, ip));
  for (const auto& ip : network.gateways) own_.set(ip, own_address(RouteKind::gateway, ip));
}

RouteEntry* RouteTable::find(const inet::Cidr& prefix) noexcept {
  return is_host(prefix) ? hosts_.find(prefix.base) : subnets_.exact(prefix);
}

void RouteTable::store(const inet::Cidr& prefix, const RouteEntry& entry) {
  if (is_host(prefix)) {
    hosts_.set(prefix.base, entry);
  } else {
    subnets_.insert(prefix, entry);
  }
}

void RouteTable::erase(const inet::Cidr& prefix) {
  if (is_host(prefix)) {
    hosts_.erase(prefix.base);
  } else {
    subnets_.erase(prefix);
  }
}

void RouteTable::add_client(const inet::Cidr& prefix, uint64_t client) {
  if (!prefix.base) return;
  const RouteEntry* before = find(prefix);
  RouteEntry entry = before ? *before : RouteEntry{};
  entry.kind = RouteKind::client;
  entry.registered = true;
  entry.prefix = prefix.prefix;
  entry.client = client;
  store(prefix, entry);
}

void RouteTable::remove_client(const inet::Cidr& prefix, uint64_t client) {
  RouteEntry* entry = find(prefix);
  if (!entry || !entry->registered || entry->client != client) return;
  if (entry->session == 0) return erase(prefix);
  entry->registered = false;
}

uint64_t RouteTable::attach(const inet::Cidr& prefix, uint64_t session, uint64_t client) {
  if (!prefix.base || session == 0) return 0;
  if (RouteEntry* entry = find(prefix)) {
    const uint64_t before = entry->session;
    entry->session = session;
    if (!entry->registered) entry->client = client;
    return before == session ? 0 : before;
  }
  RouteEntry entry;
  entry.kind = RouteKind::client;
  entry.prefix = prefix.prefix;
  entry.session = session;
  entry.client = client;
  store(prefix, entry);
  return 0;
}

void RouteTable::detach(const inet::Cidr& prefix, uint64_t session) {
  RouteEntry* entry = find(prefix);
  if (!entry || session == 0 || entry->session != session) return;
  if (!entry->registered) return erase(prefix);
  entry->session = 0;
}

const RouteEntry& RouteTable::lookup(const inet::IpAddress& ip) const noexcept {
  const size_t hash = host_hash(ip);
  if (const RouteEntry* own = own_.find(ip, hash)) return *own;
  if (const RouteEntry* host = hosts_.find(ip, hash)) return *host;
  const RouteEntry* subnet = subnets_.longest_match(ip);
  const RouteEntry* pool = pools_.longest_match(ip);
  if (subnet && (!pool || subnet->prefix >= pool->prefix)) return *subnet;
  return pool ? *pool : kNobody;
}

}  // namespace smartvpn::router
