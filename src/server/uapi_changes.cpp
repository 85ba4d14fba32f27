// See uapi_changes.hpp. Sections are applied one after the other to what is known of each peer; what became of it all
// is compared with how it was, so that a key may be named as often as one likes.
#include "server/uapi_changes.hpp"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/rng.hpp"
#include "crypto/x25519.hpp"
#include "inet/prefix_claims.hpp"
#include "inet/prefix_trie.hpp"
#include "registry/registry.hpp"

namespace smartvpn::server {
namespace {

using wireguard::UapiPeer;
using wireguard::UapiRequest;

int check_uapi_device(const UapiRequest& request, const UapiFacts& facts) {
  // Zero, as a configuration without these lines has it, asks for nothing.
  if (request.private_key && !request.private_key->is_zero() &&
      crypto::public_key_of(*request.private_key) != facts.own_key)
    return EPERM;
  const uint16_t port = request.listen_port.value_or(0);
  if (port != 0 && std::find(facts.ports.begin(), facts.ports.end(), port) == facts.ports.end()) return EPERM;
  return request.fwmark.value_or(0) != 0 ? EOPNOTSUPP : 0;
}

// Where packets for an endpoint would go round through a tunnel. Not for a default route: nobody would be outside.
bool any_endpoint_is_inside(const UapiRequest& request, const UapiFacts& facts) {
  if (std::none_of(request.peers.begin(), request.peers.end(), [](const UapiPeer& peer) { return !!peer.endpoint; }))
    return false;
  inet::PrefixTrie<bool> inside;
  for (const inet::Cidr& prefix : facts.addresses) inside.insert(prefix, true);
  auto add = [&](const inet::Cidr& prefix) {
    if (facts.device && !inet::is_everywhere(prefix.prefix)) inside.insert(prefix, true);
  };
  for (const auto& client : facts.clients)
    for (const inet::Cidr& prefix : client->subnets) add(prefix);
  for (const UapiPeer& peer : request.peers)
    for (const auto& ip : peer.allowed_ips)
      if (!ip.remove) add(ip.prefix);
  return std::any_of(request.peers.begin(), request.peers.end(),
                     [&](const UapiPeer& peer) { return peer.endpoint && inside.longest_match(peer.endpoint->ip); });
}

// How a peer is left by what was applied so far.
struct UapiEntry {
  registry::ClientPtr before;  // null: nobody's key
  bool present = false;
  bool made_new = false;  // what it was before is no part of it
  bool replaced = false;  // by replace_peers, and not named since
  bool touched = false;
  std::set<inet::Cidr> allowed;
  registry::SharedSecret psk;
  UapiWish wish;
};

class UapiPlanner {
 public:
  explicit UapiPlanner(const UapiFacts& facts)
      : facts_(facts), by_key_(0, registry::KeyHash{system_rng().u64()}), former_keys_(0, by_key_.hash_function()) {
    for (const auto& client : facts.clients) {
      ids_.insert(client->id);
      if (client->rotation && client->rotation->wireguard_public_key)
        former_keys_.insert(*client->rotation->wireguard_public_key);
      if (!client->wireguard_public_key) continue;
      UapiEntry& entry = entry_of(*client->wireguard_public_key);
      entry.before = client;
      entry.present = true;
    }
  }

  void replace_all();
  void apply(const UapiPeer& peer);
  bool had_before(const PublicKey& key) const { return former_keys_.find(key) != former_keys_.end(); }
  int finish(UapiChanges& out);

 private:
  UapiEntry& entry_of(const PublicKey& key);
  void touch(UapiEntry& entry);
  int finish(const UapiEntry& entry, UapiChanges& out);
  void put_givers_first();
  bool id_is_free(const std::string& id) const { return ids_.find(id) == ids_.end(); }
  std::string new_id(const PublicKey& key);
  // Divides what is allowed. An errno, or 0.
  int divide(const UapiEntry& entry, std::vector<inet::IpAddress>& addresses, std::vector<inet::Cidr>& subnets) const;

  const UapiFacts& facts_;
  std::deque<UapiEntry> entries_;
  std::unordered_map<PublicKey, UapiEntry*, registry::KeyHash> by_key_;
  std::vector<UapiEntry*> touched_;  // in the order of the request
  std::unordered_set<std::string> ids_;
  std::unordered_set<PublicKey, registry::KeyHash> former_keys_;  // of rotations
};

UapiEntry& UapiPlanner::entry_of(const PublicKey& key) {
  UapiEntry*& known = by_key_[key];
  if (!known) {
    known = &entries_.emplace_back();
    known->wish.key = key;
  }
  return *known;
}

void UapiPlanner::touch(UapiEntry& entry) {
  if (std::exchange(entry.touched, true)) return;
  touched_.push_back(&entry);
  if (!entry.before) return;
  const auto allowed = uapi_allowed_ips(*entry.before);
  entry.allowed.insert(allowed.begin(), allowed.end());
  entry.psk = entry.before->wireguard_preshared_key;
}

void UapiPlanner::replace_all() {
  for (UapiEntry& entry : entries_) {
    touch(entry);
    entry.replaced = entry.present;
    entry.present = false;
  }
}

void UapiPlanner::apply(const UapiPeer& peer) {
  if (peer.key == facts_.own_key) return;  // as the kernel does
  UapiEntry& entry = entry_of(peer.key);
  if (!entry.present && (peer.remove || peer.update_only)) return;
  touch(entry);
  if (peer.remove) {
    entry.present = false;
    return;
  }
  if (!entry.present) {
    entry.present = true;
    entry.made_new = !entry.replaced;
    entry.allowed.clear();
    entry.psk.reset();
    entry.wish.endpoint.reset();
    entry.wish.persistent_keepalive = Duration{0};
  }
  entry.replaced = false;
  if (peer.replace_allowed_ips) entry.allowed.clear();
  for (const auto& ip : peer.allowed_ips) {
    if (ip.remove)
      entry.allowed.erase(ip.prefix);
    else
      entry.allowed.insert(ip.prefix);
  }
  if (peer.preshared_key)
    entry.psk =
        peer.preshared_key->is_zero() ? nullptr : std::make_shared<const SecretKey>(peer.preshared_key->clone());
  if (peer.endpoint) entry.wish.endpoint = peer.endpoint;
  if (peer.persistent_keepalive_s) entry.wish.persistent_keepalive = seconds(*peer.persistent_keepalive_s);
}

// What goes frees addresses for what comes, so it goes first; and who gives something up comes before who gets it.
int UapiPlanner::finish(UapiChanges& out) {
  put_givers_first();
  for (const UapiEntry* entry : touched_)
    if (entry->before && (!entry->present || entry->made_new))
      out.registry.emplace_back(ClientChange::Kind::remove, entry->before->id);
  for (const UapiEntry* entry : touched_) {
    if (!entry->present) continue;
    if (const int error = finish(*entry, out); error != 0) return error;
    if (entry->wish.endpoint || entry->wish.persistent_keepalive) out.wishes.push_back(entry->wish);
  }
  return 0;
}

// Depth first; those who give to each other in a circle stay as they are, and the registry refuses them.
void UapiPlanner::put_givers_first() {
  std::map<inet::Cidr, UapiEntry*> given;
  for (UapiEntry* entry : touched_) {
    if (!entry->before || !entry->present || entry->made_new) continue;
    for (const inet::Cidr& prefix : uapi_allowed_ips(*entry->before))
      if (entry->allowed.find(prefix) == entry->allowed.end()) given.emplace(prefix, entry);
  }
  if (given.empty()) return;
  std::vector<UapiEntry*> order;
  order.reserve(touched_.size());
  std::unordered_set<const UapiEntry*> placed;
  std::vector<std::pair<UapiEntry*, bool>> open;  // whether those before it are placed already
  for (UapiEntry* first : touched_) {
    open.emplace_back(first, false);
    while (!open.empty()) {
      UapiEntry* const entry = open.back().first;
      const bool ready = open.back().second;
      open.pop_back();
      if (ready) {
        order.push_back(entry);
        continue;
      }
      if (!placed.insert(entry).second) continue;
      open.emplace_back(entry, true);
      for (const inet::Cidr& wanted : entry->allowed) {
        inet::for_overlapping(given, wanted, [&](const inet::Cidr& prefix, UapiEntry* giver) {
          // Beside a default route there may be others.
          const bool beside = prefix.prefix == 0 && wanted.prefix != 0;
          if (giver != entry && !beside) open.emplace_back(giver, false);
          return true;
        });
      }
    }
  }
  touched_ = std::move(order);
}

int UapiPlanner::divide(const UapiEntry& entry, std::vector<inet::IpAddress>& addresses,
                        std::vector<inet::Cidr>& subnets) const {
  auto has = [&](inet::Family family) {
    return std::any_of(addresses.begin(), addresses.end(), [&](const auto& ip) { return ip.family() == family; });
  };
  for (const inet::Cidr& prefix : entry.allowed) {
    if (prefix.prefix != prefix.base.bits() || !inet::any_contains(facts_.addresses, prefix.base)) {
      subnets.push_back(prefix);
    } else if (has(prefix.base.family())) {
      return EINVAL;
    } else {
      addresses.push_back(prefix.base);
    }
  }
  if (!entry.made_new && entry.before)
    for (const auto& ip : entry.before->addresses)
      if (!has(ip.family())) addresses.push_back(ip);
  std::sort(addresses.begin(), addresses.end());
  if (subnets.size() > registry::kMaxSubnets) subnets = merged_prefixes(std::move(subnets));
  return subnets.size() > registry::kMaxSubnets ? E2BIG : 0;
}

// The beginning of the key, and more of it where somebody has that name already.
std::string UapiPlanner::new_id(const PublicKey& key) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string id = "wg-";
  for (const uint8_t byte : key) {
    if (id.size() >= 3 + 12 && id_is_free(id)) break;
    if (id.size() + 2 > registry::kMaxIdSize) break;
    id += kDigits[byte >> 4];
    id += kDigits[byte & 15];
  }
  ids_.insert(id);
  return id;
}

template <class List>
std::string json_list(const List& list) {
  std::string out = "[";
  for (const auto& entry : list) {
    if (out.size() > 1) out += ',';
    out += '"' + entry.text() + '"';
  }
  return out + ']';
}

// Merge patch of what differs; "{}" where nothing does.
std::string uapi_patch(const UapiEntry& entry, const std::vector<inet::IpAddress>& addresses,
                       const std::vector<inet::Cidr>& subnets) {
  const registry::Client& before = *entry.before;
  std::vector<inet::IpAddress> had = before.addresses;
  std::vector<inet::Cidr> routed = before.subnets;
  std::sort(had.begin(), had.end());
  std::sort(routed.begin(), routed.end());
  std::string out = "{";
  out.reserve(256 + 48 * subnets.size());
  if (had != addresses) out += "\"addresses\":" + json_list(addresses) + ",";
  if (routed != subnets) out += "\"subnets\":" + json_list(subnets) + ",";
  if (!registry::same_secret(before.wireguard_preshared_key, entry.psk)) {
    out += "\"wireguard_preshared_key\":";
    std::string psk = entry.psk ? format_key(entry.psk->view()) : "";
    // In pieces, into the room that `out` has: no copy stays behind elsewhere.
    out += entry.psk ? "\"" : "null";
    out += psk;
    out += entry.psk ? "\"," : ",";
    wipe(psk);
  }
  if (out.size() > 1) out.pop_back();
  return out += '}';
}

int UapiPlanner::finish(const UapiEntry& entry, UapiChanges& out) {
  std::vector<inet::IpAddress> addresses;
  std::vector<inet::Cidr> subnets;
  if (const int error = divide(entry, addresses, subnets); error != 0) return error;
  if (entry.before && !entry.made_new) {
    ClientChange change(ClientChange::Kind::update, entry.before->id);
    change.patch = uapi_patch(entry, addresses, subnets);
    if (change.patch != "{}") out.registry.push_back(std::move(change));
    return 0;
  }
  ClientChange change(ClientChange::Kind::create);
  change.spec.id = entry.before ? entry.before->id : new_id(entry.wish.key);
  change.spec.wireguard_public_key = entry.wish.key;
  change.spec.wireguard_preshared_key = entry.psk;
  change.spec.addresses = std::move(addresses);
  change.spec.subnets = std::move(subnets);
  out.registry.push_back(std::move(change));
  return 0;
}

}  // namespace

int plan_uapi_changes(const UapiRequest& request, const UapiFacts& facts, UapiChanges& out) {
  if (const int error = check_uapi_device(request, facts); error != 0) return error;
  if (any_endpoint_is_inside(request, facts)) return EINVAL;
  UapiPlanner planner(facts);
  if (request.replace_peers) planner.replace_all();
  for (const UapiPeer& peer : request.peers) {
    if (planner.had_before(peer.key)) return EBUSY;
    planner.apply(peer);
  }
  return planner.finish(out);
}

int uapi_errno(const Error& error) noexcept {
  switch (error.status) {
    case Status::INVALID:
      return EINVAL;
    case Status::EXISTS:
      return EADDRINUSE;
    case Status::LIMIT:
      return ENOSPC;
    case Status::NO_MEMORY:
      return ENOMEM;
    case Status::BAD_STATE:
      return ENODEV;
    case Status::CONFLICT:
    case Status::NOT_FOUND:  // it was there a moment ago
      return EAGAIN;
    case Status::UNSUPPORTED:
      return EOPNOTSUPP;
    default:
      return error.system_errno != 0 ? error.system_errno : EIO;
  }
}

std::vector<inet::Cidr> uapi_allowed_ips(const registry::Client& client) {
  std::vector<inet::Cidr> out;
  out.reserve(client.addresses.size() + client.subnets.size());
  for (const auto& ip : client.addresses) out.push_back(inet::host_prefix(ip));
  out.insert(out.end(), client.subnets.begin(), client.subnets.end());
  return out;
}

std::vector<inet::Cidr> merged_prefixes(std::vector<inet::Cidr> prefixes) {
  std::sort(prefixes.begin(), prefixes.end());
  std::vector<inet::Cidr> out;
  auto last_two_are_halves = [&out] {
    if (out.size() < 2) return false;
    const inet::Cidr &low = out[out.size() - 2], &high = out.back();
    return low.prefix == high.prefix && low.prefix > 0 && low.base.family() == high.base.family() &&
           low.base == high.base.masked(high.prefix - 1);
  };
  for (const inet::Cidr& prefix : prefixes) {
    if (!out.empty() && out.back().contains(prefix.base)) continue;  // sorted: the wider one came first
    out.push_back(prefix);
    while (last_two_are_halves()) {
      out.pop_back();
      --out.back().prefix;
    }
  }
  return out;
}

}  // namespace smartvpn::server
