// The registry as the server uses it: entries with their compiled lists and their places in the
// routing table. Shard thread only (before start and after stop: whoever holds the lifecycle lock).
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "acl/source_policy.hpp"
#include "registry/registry.hpp"
#include "router/router.hpp"
#include "server/plan.hpp"

namespace smartvpn::server {

class ClientDirectory {
 public:
  // `pool` and `routes` must outlive the directory.
  static Result<std::unique_ptr<ClientDirectory>> open(std::unique_ptr<registry::Store> store,
                                                       registry::AddressPool& pool, router::RouteTable& routes);

  struct Found {
    const registry::Client* client = nullptr;
    const acl::SourcePolicy* policy = nullptr;
    std::shared_ptr<const acl::DestinationPolicy> destinations;  // null: everywhere
    uint64_t number = 0;  // for the routing table
  };
  // Null client if unknown. Valid until the next change.
  Found find_by_key(const PublicKey& key) const;
  Found find(const std::string& id) const;

  Result<registry::CreatedClient> create(const registry::ClientSpec& spec);
  Result<registry::Client> set_enabled(const std::string& id, bool enabled) { return registry_.set_enabled(id, enabled); }
  Result<registry::Client> remove(const std::string& id);
  Result<registry::Client> get(const std::string& id) const { return registry_.get(id); }
  std::vector<registry::Client> list() const { return registry_.list(); }
  size_t size() const { return registry_.size(); }

 private:
  struct Entry {
    ClientPolicy policy;
    uint64_t number = 0;
  };
  ClientDirectory(registry::Registry registry, registry::AddressPool& pool, router::RouteTable& routes)
      : registry_(std::move(registry)), pool_(pool), routes_(routes) {}
  void adopt(const registry::Client& client, ClientPolicy policy);
  Found found(const registry::Client* client) const;

  registry::Registry registry_;
  registry::AddressPool& pool_;
  router::RouteTable& routes_;
  std::unordered_map<std::string, Entry> entries_;
  uint64_t next_number_ = 1;
};

}  // namespace smartvpn::server
