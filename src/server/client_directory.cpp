#include "server/client_directory.hpp"

#include <new>

namespace smartvpn::server {
namespace {

inet::Cidr host_route(const inet::IpAddress& ip) { return {ip, static_cast<uint8_t>(ip.bits())}; }

}  // namespace

Result<std::unique_ptr<ClientDirectory>> ClientDirectory::open(std::unique_ptr<registry::Store> store,
                                                               registry::AddressPool& pool,
                                                               router::RouteTable& routes) {
  auto registry = registry::Registry::open(std::move(store), pool, system_rng());
  if (!registry) return registry.error();
  std::unique_ptr<ClientDirectory> directory(new ClientDirectory(std::move(*registry), pool, routes));
  for (const auto& client : directory->registry_.list()) {
    auto policy = compile_client_policy(client.security, "/clients/" + client.id);
    if (!policy) return policy.error();
    directory->adopt(client, std::move(*policy));
  }
  return directory;
}

ClientDirectory::Found ClientDirectory::found(const registry::Client* client) const {
  if (!client) return {};
  auto it = entries_.find(client->id);
  if (it == entries_.end()) return {};
  const ClientPolicy& policy = it->second.policy;
  return {client, &policy.source, policy.destinations, it->second.number};
}

ClientDirectory::Found ClientDirectory::find_by_key(const PublicKey& key) const {
  return found(registry_.find_by_key(key));
}

ClientDirectory::Found ClientDirectory::find(const std::string& id) const { return found(registry_.find(id)); }

Result<registry::CreatedClient> ClientDirectory::create(const registry::ClientSpec& spec) {
  auto policy = compile_client_policy(spec.security, "");
  if (!policy) return policy.error();
  auto created = registry_.create(spec);
  if (!created) return created;
  adopt(created->client, std::move(*policy));
  return created;
}

Result<registry::Client> ClientDirectory::remove(const std::string& id) {
  auto removed = registry_.remove(id);
  if (!removed) return removed;
  auto it = entries_.find(id);
  if (it != entries_.end()) {
    for (const auto& ip : removed->addresses) routes_.remove_client(host_route(ip), it->second.number);
    entries_.erase(it);
  }
  try {
    pool_.forget(id);
  } catch (const std::bad_alloc&) {
    // The next client with this id may find the old one's addresses again, and nothing else.
  }
  return removed;
}

void ClientDirectory::adopt(const registry::Client& client, ClientPolicy policy) {
  uint64_t number = next_number_++;
  for (const auto& ip : client.addresses) routes_.add_client(host_route(ip), number);
  entries_[client.id] = Entry{std::move(policy), number};
}

}  // namespace smartvpn::server
