// See registry.hpp. Everything that may be repeated after running out of memory says where things shall
// be, not how they change, so that a second run finds nothing to do.
#include "registry/registry.hpp"

#include <algorithm>

namespace smartvpn::registry {
namespace {

using inet::Family;
using inet::IpAddress;

template <class T>
bool contains(const std::vector<T>& list, const T& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

bool has_family(const std::vector<IpAddress>& list, Family family) {
  return std::any_of(list.begin(), list.end(), [&](const IpAddress& ip) { return ip.family() == family; });
}

Error at_step(Error error, size_t step) {
  error.path = "/" + std::to_string(step) + error.path;
  return error;
}

}  // namespace

std::vector<Write> Draft::writes() const {
  std::vector<Write> out;
  out.reserve(steps.size());
  for (const Step& step : steps) {
    out.push_back({step.kind, step.after ? *step.after : *step.before});
    if (step.before) out.back().client.revision = step.before->revision;
  }
  return out;
}

size_t KeyHash::operator()(const PublicKey& key) const noexcept {
  uint64_t h = seed;
  for (size_t i = 0; i < key.size(); i += 8) {
    h = (h ^ load_le64(key.data() + i)) * 0x9e3779b97f4a7c15ull;
    h ^= h >> 29;
  }
  return static_cast<size_t>(h);
}

Registry::Registry(AddressPool& pool, uint64_t seed, Options options)
    : pool_(&pool), options_(options), claims_(pool.subnets()), by_key_(0, KeyHash{seed}) {}

Result<Registry> Registry::open(std::vector<Client> clients, uint64_t revision, AddressPool& pool, Rng& rng,
                                Options options) {
  Registry registry(pool, rng.u64(), options);
  if (auto loaded = registry.load(std::move(clients)); !loaded) {
    for (const auto& [id, client] : registry.clients_) pool.unreserve(client->addresses);
    return loaded.error();
  }
  registry.revision_ = revision;
  return registry;
}

Result<void> Registry::load(std::vector<Client> clients) {
  for (Client& client : clients) {
    auto fits = claim_subnets(nullptr, client);  // as the subnets are now; what others have was judged when it came
    if (fits) fits = pool_->reserve(client.addresses);
    if (!fits) {
      Error error = fits.error();
      error.text = "client '" + client.id + "' of the store: " + error.text;
      error.path.clear();  // of no configuration
      return error;
    }
    index(std::make_shared<const Client>(std::move(client)));
  }
  for (const auto& [id, client] : clients_) add_claims(*client);
  return {};
}

Result<void> Registry::prepare(Draft& draft) {
  if (draft.base != revision_) return make_error(Status::CONFLICT, "the registry was changed meanwhile");
  for (size_t i = 0; i < draft.steps.size(); ++i) {
    Draft::Step& step = draft.steps[i];
    Result<void> ok = step.after ? fill_addresses(draft, step) : Result<void>();
    if (ok) ok = claim(draft, step);
    if (!ok) {
      roll_back(draft);
      return at_step(ok.error(), i);
    }
    if (step.after) step.after->revision = draft.base + i + 1;
  }
  return {};
}

// What WireGuard needs: an address of each family, for good. Those that the client has already stay.
Result<void> Registry::fill_addresses(Draft& draft, Draft::Step& step) {
  Client& client = *step.after;
  if (!options_.wireguard_addresses || !client.wireguard_public_key || client.max_sessions != 1) return {};
  for (Family family : {Family::v4, Family::v6}) {
    if (!pool_->has_family(family) || has_family(client.addresses, family)) continue;
    if (step.before)
      for (const IpAddress& ip : step.before->addresses)
        if (ip.family() == family) client.addresses.push_back(ip);
    if (has_family(client.addresses, family)) continue;
    draft.fresh_.emplace_back();
    client.addresses.emplace_back();
    auto ip = pool_->reserve_any(family);
    if (!ip) {
      draft.fresh_.pop_back();
      client.addresses.pop_back();
      return make_error(Status::LIMIT, "no address is left in network.subnets", "/addresses");
    }
    draft.fresh_.back() = client.addresses.back() = *ip;
    draft.given_up_.insert(*ip);  // which claim() takes up again
  }
  std::sort(client.addresses.begin(), client.addresses.end());
  return {};
}

Result<void> Registry::claim(Draft& draft, const Draft::Step& step) {
  const std::vector<IpAddress> none;  // not static: nothing of ours is destroyed at exit
  const auto& before = step.before ? step.before->addresses : none;
  const auto& after = step.after ? step.after->addresses : none;
  ++draft.claimed_;  // first: undoing what was not done is harmless
  for (size_t i = 0; i < after.size(); ++i) {
    const std::string path = "/addresses/" + std::to_string(i);
    if (contains(before, after[i])) continue;
    if (auto free = claims_.check_address(after[i], step.after->id); !free)
      return make_error(free.error().status, free.error().text, path);
    if (draft.given_up_.erase(after[i]) != 0) continue;
    draft.fresh_.emplace_back();
    auto reserved = pool_->reserve({after[i]}, step.after->id);
    if (!reserved) {
      draft.fresh_.pop_back();
      return make_error(reserved.error().status, reserved.error().text, path);
    }
    draft.fresh_.back() = after[i];
  }
  for (const IpAddress& ip : before)
    if (!contains(after, ip)) draft.given_up_.insert(ip);
  if (step.before) remove_claims(*step.before);
  if (!step.after) return {};
  if (auto free = claim_subnets(step.before.get(), *step.after); !free) return free;
  add_claims(*step.after);
  return {};
}

// What the client has already is not judged again, unless it no longer says that overlaps are meant.
Result<void> Registry::claim_subnets(const Client* before, const Client& after) const {
  const bool stricter = before && before->allow_overlap && !after.allow_overlap;
  for (size_t i = 0; i < after.subnets.size(); ++i) {
    if (before && !stricter && contains(before->subnets, after.subnets[i])) continue;
    auto free = claims_.check_subnet(after.subnets[i], after.id, after.allow_overlap);
    if (!free) return make_error(free.error().status, free.error().text, "/subnets/" + std::to_string(i));
  }
  return {};
}

void Registry::add_claims(const Client& client) {
  for (const IpAddress& ip : client.addresses) claims_.add(inet::host_prefix(ip), client.id);
  for (const inet::Cidr& subnet : client.subnets) claims_.add(subnet, client.id);
}

void Registry::remove_claims(const Client& client) {
  for (const IpAddress& ip : client.addresses) claims_.remove(inet::host_prefix(ip), client.id);
  for (const inet::Cidr& subnet : client.subnets) claims_.remove(subnet, client.id);
}

void Registry::commit(const Draft& draft) {
  for (const Draft::Step& step : draft.steps) {
    if (!step.after) {
      unindex(*step.before);
      pool_->forget(step.before->id);
      continue;
    }
    // What is only in memory, and happened since the draft was made.
    if (const Client* now = find(step.after->id); now && step.after->rotation) {
      const bool same = now->noise_public_key == step.after->noise_public_key;
      if (same && now->rotation) step.after->rotation->seen |= now->rotation->seen;
      if (same && !now->rotation) step.after->rotation.reset();
    }
    if (step.before) unindex(*step.before);
    index(step.after);
  }
  for (const IpAddress& ip : draft.given_up_) pool_->unreserve({ip});
  revision_ = draft.revision();
}

void Registry::roll_back(Draft& draft) {
  for (size_t i = draft.claimed_; i-- > 0;) {
    if (draft.steps[i].after) remove_claims(*draft.steps[i].after);
    if (draft.steps[i].before) add_claims(*draft.steps[i].before);
  }
  for (const IpAddress& ip : draft.fresh_)
    if (ip) pool_->unreserve({ip});
  draft.claimed_ = 0;
  draft.fresh_.clear();
  draft.given_up_.clear();
}

Result<Client> Registry::get(const std::string& id) const {
  const Client* client = find(id);
  if (!client) return make_error(Status::NOT_FOUND, "no client '" + id + "'");
  return *client;
}

std::vector<ClientPtr> Registry::list() const {
  std::vector<ClientPtr> out;
  out.reserve(clients_.size());
  for (const auto& [id, client] : clients_) out.push_back(client);
  return out;
}

const Client* Registry::find(const std::string& id) const {
  auto it = clients_.find(id);
  return it == clients_.end() ? nullptr : it->second.get();
}

ClientPtr Registry::share(const std::string& id) const {
  auto it = clients_.find(id);
  return it == clients_.end() ? nullptr : it->second;
}

const Client* Registry::find_by_key(const PublicKey& key, int64_t now_ms) const {
  auto it = by_key_.find(key);
  return it != by_key_.end() && it->second->has_noise_key(key, now_ms) ? it->second.get() : nullptr;
}

bool Registry::note_new_key(const std::string& id) {
  const Client* client = find(id);
  if (!client || !client->rotation || client->rotation->seen) return false;
  auto seen = std::make_shared<Client>(*client);
  seen->rotation->seen = true;
  index(std::move(seen));
  return true;
}

std::vector<std::string> Registry::expire_rotations(int64_t now_ms) {
  std::vector<std::string> out;
  for (const std::string& id : rotating_)
    if (const Client* client = find(id); client && !client->rotating(now_ms)) out.push_back(id);
  for (size_t i = 0; i < out.size(); ++i) {
    ClientPtr old = share(out[i]);
    try {
      auto over = std::make_shared<Client>(*old);
      over->rotation.reset();
      index(std::move(over));  // first: without memory the client stays what it was
    } catch (const std::bad_alloc&) {
      out.resize(i);  // the rest is tried again
      break;
    }
    by_key_.erase(old->rotation->noise_public_key);
    rotating_.erase(out[i]);
  }
  return out;
}

void Registry::index(const ClientPtr& client) {
  const std::string& id = client->id;
  by_key_[client->noise_public_key] = client;
  if (client->rotation) {
    by_key_[client->rotation->noise_public_key] = client;
    rotating_.insert(id);
  }
  clients_[id] = client;
}

void Registry::unindex(const Client& client) {
  auto forget = [&](const PublicKey& key) {
    auto it = by_key_.find(key);
    if (it != by_key_.end() && it->second->id == client.id) by_key_.erase(it);
  };
  const std::string id = client.id;  // the entry may go with the maps' hold on it
  forget(client.noise_public_key);
  if (client.rotation) forget(client.rotation->noise_public_key);
  rotating_.erase(id);
  clients_.erase(id);
}

}  // namespace smartvpn::registry
