// The registry as the server uses it: entries with their compiled lists and their places in the
// routing tables. Shared by all shards, under the lock of server/control.hpp.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "acl/source_policy.hpp"
#include "registry/registry.hpp"
#include "server/plan.hpp"
#include "server/route_log.hpp"
#include "server/shared_secrets.hpp"

namespace smartvpn::server {

// What is compiled from a client's lists, by the thread that changes them, and never changed itself.
using ClientListsPtr = std::shared_ptr<const ClientPolicy>;
// INVALID with the path of the entry; `path` is that of the client's object.
Result<ClientListsPtr> compile_client_lists(const registry::ClientSecurity& security, const std::string& path);

class ClientDirectory {
 public:
  // Empty. `pool` and `routes` must outlive the directory.
  static Result<std::unique_ptr<ClientDirectory>> open(registry::AddressPool& pool, RouteLog& routes,
                                                       registry::Registry::Options options);
  // What the store has, once, before anything else.
  Result<void> load(std::vector<registry::Client> clients, uint64_t revision);

  struct Found {
    const registry::Client* client = nullptr;
    const acl::SourcePolicy* policy = nullptr;
    std::shared_ptr<const acl::DestinationPolicy> destinations;  // null: everywhere
    uint64_t number = 0;  // for the routing table; another one for another client of the same id
  };
  // Null client if unknown. Valid until the next change. By key: also the one before a rotation, while they overlap.
  Found find_by_key(const PublicKey& key) const;
  Found find_by_wireguard_key(const PublicKey& key) const;
  Found find(const std::string& id) const;
  // Every WireGuard key that is somebody's, those before a rotation too while they overlap: `fn(key, client)`.
  template <class Fn>
  void for_each_wireguard_key(Fn&& fn) const {
    for (const auto& [key, id] : wireguard_keys_)
      if (const registry::Client* client = registry_.find(id)) fn(key, *client);
  }

  // See registry::Registry. `lists` are those of the draft's steps; null: as before.
  Result<void> prepare(registry::Draft& draft) { return registry_.prepare(draft); }
  void commit(const registry::Draft& draft, const std::vector<ClientListsPtr>& lists);
  void roll_back(registry::Draft& draft) { registry_.roll_back(draft); }
  bool note_new_key(const std::string& id) { return registry_.note_new_key(id); }
  std::vector<std::string> expire_rotations(int64_t now_ms);

  // Our static keys, from which secrets with every client's key are precomputed: a few at a time, whenever
  // prepare_secrets() is called. True: it wants to be called again.
  void set_static_keys(std::shared_ptr<const session::StaticKeys> keys) { secrets_.set_own(std::move(keys)); }
  void set_wireguard_key(std::shared_ptr<const session::StaticKeys> key) { wireguard_secrets_.set_own(std::move(key)); }
  bool prepare_secrets(size_t count) noexcept {
    const bool more = secrets_.work(count);
    return wireguard_secrets_.work(count) || more;
  }
  // As session::ResponderHandler::shared_secret.
  const SecretKey* shared_secret(const PublicKey& own, const PublicKey& theirs) const;

  const registry::Registry& registry() const { return registry_; }
  // Whether clients that are created from now on get what WireGuard needs.
  void set_registry_options(registry::Registry::Options options) noexcept {
    options_ = options;
    registry_.set_options(options);
  }
  size_t size() const { return registry_.size(); }
  size_t secrets() const { return secrets_.size(); }

 private:
  struct Entry {
    ClientListsPtr lists;
    uint64_t number = 0;
  };
  ClientDirectory(registry::Registry registry, registry::AddressPool& pool, RouteLog& routes,
                  registry::Registry::Options options)
      : registry_(std::move(registry)), pool_(pool), routes_(routes), options_(options) {}
  void expect_secrets(const registry::Client& client);
  void forget_secrets(const registry::Client& client) noexcept;
  void learn_wireguard_keys(const registry::Client& client);
  void forget_wireguard_keys(const registry::Client& client) noexcept;
  void add_routes(const registry::Client& client);
  void remove_routes(const registry::Client& client);
  void tell_routes(RouteChange::Kind kind, const registry::Client& client, uint64_t number);
  Found found(const registry::Client* client) const;

  registry::Registry registry_;
  registry::AddressPool& pool_;
  RouteLog& routes_;
  registry::Registry::Options options_;
  std::unordered_map<std::string, Entry> entries_;
  std::unordered_map<PublicKey, std::string, registry::KeyHash> wireguard_keys_{0,
                                                                                registry::KeyHash{system_rng().u64()}};
  SharedSecrets secrets_, wireguard_secrets_;
  uint64_t next_number_ = 1;
};

// Why a client may not have a session over this connection and with this key (now); none if it may.
Reason judge_client(const ClientDirectory::Found& found, const PublicKey& key, uint8_t transport,
                    const std::optional<inet::IpAddress>& real_address, int64_t now_ms);

}  // namespace smartvpn::server
