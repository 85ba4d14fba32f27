// The registry's copy of the store, its two indices, and the order in which a change is made: checks,
// then addresses, then the store, then the copy, so that a failure leaves nothing behind.
#include "registry/registry.hpp"

#include "crypto/x25519.hpp"

namespace smartvpn::registry {
namespace {

Client client_of(const ClientSpec& spec, const PublicKey& key) {
  Client client;
  static_cast<ClientSettings&>(client) = spec;
  client.id = spec.id;
  client.noise_public_key = key;
  client.wireguard_public_key = spec.wireguard_public_key;
  client.wireguard_preshared_key = spec.wireguard_preshared_key;
  return client;
}

// The path is the client's own: it is the only one of the transaction.
Result<uint64_t> apply_one(Store& store, Write write) {
  auto revision = store.apply({std::move(write)}, std::nullopt);
  if (revision) return revision;
  Error error = revision.error();
  if (error.path.rfind("/0", 0) == 0) error.path.erase(0, 2);
  return error;
}

Error not_found(const std::string& id) { return make_error(Status::NOT_FOUND, "no client '" + id + "'"); }

}  // namespace

size_t Registry::KeyHash::operator()(const PublicKey& key) const noexcept {
  uint64_t h = seed;
  for (size_t i = 0; i < key.size(); i += 8) {
    h = (h ^ load_le64(key.data() + i)) * 0x9e3779b97f4a7c15ull;
    h ^= h >> 29;
  }
  return static_cast<size_t>(h);
}

Registry::Registry(std::unique_ptr<Store> store, AddressPool& pool, Rng& rng)
    : store_(std::move(store)), pool_(&pool), rng_(&rng), by_key_(0, KeyHash{rng.u64()}) {}

Result<Registry> Registry::open(std::unique_ptr<Store> store, AddressPool& pool, Rng& rng) {
  Registry registry(std::move(store), pool, rng);
  if (auto loaded = registry.load(); !loaded) {
    for (const auto& [id, client] : registry.clients_) pool.unreserve(client.addresses);
    return loaded.error();
  }
  return registry;
}

Result<void> Registry::load() {
  auto revision = store_->revision();
  if (!revision) return revision.error();
  auto clients = store_->load();
  if (!clients) return clients.error();
  for (Client& client : *clients) {
    if (auto reserved = pool_->reserve(client.addresses); !reserved) {
      Error error = reserved.error();
      error.text = "client '" + client.id + "' of the store: " + error.text;
      return error;
    }
    index(std::move(client));
  }
  revision_ = *revision;
  return {};
}

Result<CreatedClient> Registry::create(const ClientSpec& spec) {
  if (auto valid = validate_client(spec); !valid) return valid.error();
  CreatedClient created;
  if (!spec.noise_public_key) {
    auto pair = crypto::generate_key_pair(*rng_);
    created.noise_private_key = std::move(pair.secret);
    created.client = client_of(spec, pair.pub);
  } else {
    created.client = client_of(spec, *spec.noise_public_key);
  }
  if (auto free = check_free(spec, created.client.noise_public_key); !free) return free.error();
  if (auto reserved = pool_->reserve(spec.addresses); !reserved) return reserved.error();
  auto revision = apply_one(*store_, {Write::Kind::insert, created.client});
  if (!revision) {
    pool_->unreserve(spec.addresses);
    return revision.error();
  }
  revision_ = created.client.revision = *revision;
  index(created.client);
  return created;
}

Result<Client> Registry::get(const std::string& id) const {
  const Client* client = find(id);
  if (!client) return not_found(id);
  return *client;
}

std::vector<Client> Registry::list() const {
  std::vector<Client> out;
  out.reserve(clients_.size());
  for (const auto& [id, client] : clients_) out.push_back(client);
  return out;
}

Result<Client> Registry::set_enabled(const std::string& id, bool enabled) {
  auto it = clients_.find(id);
  if (it == clients_.end()) return not_found(id);
  if (it->second.enabled == enabled) return it->second;
  Client changed = it->second;
  changed.enabled = enabled;
  auto revision = apply_one(*store_, {Write::Kind::replace, changed});
  if (!revision) return revision.error();
  it->second.enabled = enabled;
  revision_ = it->second.revision = *revision;
  return it->second;
}

Result<Client> Registry::remove(const std::string& id) {
  auto it = clients_.find(id);
  if (it == clients_.end()) return not_found(id);
  auto revision = apply_one(*store_, {Write::Kind::remove, it->second});
  if (!revision) return revision.error();
  revision_ = *revision;
  by_key_.erase(it->second.noise_public_key);
  Client gone = std::move(it->second);
  clients_.erase(it);
  pool_->unreserve(gone.addresses);
  pool_->forget(gone.id);
  return gone;
}

const Client* Registry::find(const std::string& id) const {
  auto it = clients_.find(id);
  return it == clients_.end() ? nullptr : &it->second;
}

const Client* Registry::find_by_key(const PublicKey& key) const {
  auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : it->second;
}

Result<void> Registry::check_free(const ClientSpec& spec, const PublicKey& key) const {
  if (find(spec.id)) return make_error(Status::EXISTS, "client '" + spec.id + "' exists", "/id");
  if (const Client* other = find_by_key(key))
    return make_error(Status::EXISTS, "the key belongs to client '" + other->id + "'", "/noise_public_key");
  if (spec.noise_public_key && !crypto::is_usable_public_key(key))
    return make_error(Status::INVALID, "not a key anybody can have", "/noise_public_key");
  return {};
}

void Registry::index(Client client) {
  std::string id = client.id;
  Client& entry = clients_.insert_or_assign(std::move(id), std::move(client)).first->second;
  by_key_[entry.noise_public_key] = &entry;
}

}  // namespace smartvpn::registry
