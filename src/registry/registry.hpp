// The registry: every client a server knows, found by id and by key. Writes go through a Store, fixed
// addresses through the AddressPool, and a copy of every entry stays here for the handshake's look-up.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>

#include "base/rng.hpp"
#include "registry/address_pool.hpp"
#include "registry/store.hpp"

namespace smartvpn::registry {

// Single-threaded, owned by a shard. Pointers to entries hold until the next call that changes one.
class Registry {
 public:
  // Loads what the store has. `pool` and `rng` must outlive the registry. An entry of the store whose
  // fixed address does not fit the subnets is an error that names the client.
  static Result<Registry> open(std::unique_ptr<Store> store, AddressPool& pool, Rng& rng);

  // INVALID, or EXISTS for an id, key or fixed address that is taken, each with a path relative to the
  // client's object. All or nothing.
  Result<CreatedClient> create(const ClientSpec& spec);
  Result<Client> get(const std::string& id) const;  // NOT_FOUND
  std::vector<Client> list() const;                 // in order of id
  // The entry as it is then. NOT_FOUND; CONFLICT if another server on the same store changed it meanwhile.
  Result<Client> set_enabled(const std::string& id, bool enabled);
  // The entry as it was; errors as above. Its past leases are forgotten, its fixed addresses free once
  // no session has them. Ending those sessions is the caller's business.
  Result<Client> remove(const std::string& id);

  // Null if unknown. By key in constant time, whatever the number of clients.
  const Client* find(const std::string& id) const;
  const Client* find_by_key(const PublicKey& key) const;

  size_t size() const noexcept { return clients_.size(); }
  // The store's revision that this copy shows.
  uint64_t revision() const noexcept { return revision_; }

 private:
  // Seeded, so that nobody who may choose keys can choose collisions.
  struct KeyHash {
    uint64_t seed = 0;
    size_t operator()(const PublicKey& key) const noexcept;
  };

  Registry(std::unique_ptr<Store> store, AddressPool& pool, Rng& rng);
  Result<void> check_free(const ClientSpec& spec, const PublicKey& key) const;
  // Into the maps; never fails, the caller has checked.
  void index(Client client);
  Result<void> load();

  std::unique_ptr<Store> store_;
  AddressPool* pool_;
  Rng* rng_;
  uint64_t revision_ = 0;
  std::map<std::string, Client> clients_;
  std::unordered_map<PublicKey, Client*, KeyHash> by_key_;
};

}  // namespace smartvpn::registry
