#include "server/client_directory.hpp"

#include "base/clock.hpp"
#include "server/plan.hpp"
#include "session/admission.hpp"

namespace smartvpn::server {

namespace {

bool same_keys(const registry::Client& a, const registry::Client& b) {
  return a.noise_public_key == b.noise_public_key && a.wireguard_public_key == b.wireguard_public_key &&
         a.rotation == b.rotation;
}

}  // namespace

Result<ClientListsPtr> compile_client_lists(const registry::ClientSecurity& security, const std::string& path) {
  auto policy = compile_client_policy(security, path);
  if (!policy) return policy.error();
  return ClientListsPtr(std::make_shared<const ClientPolicy>(std::move(*policy)));
}

Reason judge_client(const ClientDirectory::Found& found, const PublicKey& key, uint8_t transport,
                    const std::optional<inet::IpAddress>& real_address, int64_t now_ms) {
  const registry::Client& client = *found.client;
  const bool wireguard = transport == static_cast<uint8_t>(session::Transport::wireguard);
  const bool known = wireguard ? client.has_wireguard_key(key, now_ms) : client.has_noise_key(key, now_ms);
  if (!known) return Reason::unknown_client;
  if (!client.enabled) return Reason::client_disabled;
  if (client.expired(now_ms)) return Reason::client_expired;
  if (!client.takes_transport(transport)) return Reason::transport_not_allowed;
  return found.policy->judge(real_address);
}

Result<std::unique_ptr<ClientDirectory>> ClientDirectory::open(registry::AddressPool& pool, RouteLog& routes,
                                                               registry::Registry::Options options) {
  auto registry = registry::Registry::open({}, 0, pool, system_rng(), options);
  if (!registry) return registry.error();
  return std::unique_ptr<ClientDirectory>(new ClientDirectory(std::move(*registry), pool, routes, options));
}

Result<void> ClientDirectory::load(std::vector<registry::Client> clients, uint64_t revision) {
  for (const auto& client : clients) {
    auto lists = compile_client_lists(client.security, "");
    if (!lists) {
      Error error = lists.error();
      error.text = "client '" + client.id + "' of the store: " + error.path + " " + error.text;
      error.path.clear();
      return error;
    }
    entries_[client.id] = Entry{std::move(*lists), next_number_++};
  }
  auto registry = registry::Registry::open(std::move(clients), revision, pool_, system_rng(), options_);
  if (!registry) return registry.error();
  registry_ = std::move(*registry);
  for (const auto& client : registry_.list()) {
    add_routes(*client);
    learn_wireguard_keys(*client);
    expect_secrets(*client);
  }
  return {};
}

ClientDirectory::Found ClientDirectory::found(const registry::Client* client) const {
  if (!client) return {};
  auto it = entries_.find(client->id);
  if (it == entries_.end()) return {};
  const ClientPolicy& lists = *it->second.lists;
  return {client, &lists.source, lists.destinations, it->second.number};
}

ClientDirectory::Found ClientDirectory::find_by_key(const PublicKey& key) const {
  return found(registry_.find_by_key(key, wall_clock_ms()));
}

ClientDirectory::Found ClientDirectory::find_by_wireguard_key(const PublicKey& key) const {
  auto it = wireguard_keys_.find(key);
  if (it == wireguard_keys_.end()) return {};
  const registry::Client* client = registry_.find(it->second);
  return found(client && client->has_wireguard_key(key, wall_clock_ms()) ? client : nullptr);
}

ClientDirectory::Found ClientDirectory::find(const std::string& id) const { return found(registry_.find(id)); }

// As Registry::commit() it may be repeated: every step says what is to be there.
void ClientDirectory::commit(const registry::Draft& draft, const std::vector<ClientListsPtr>& lists) {
  registry_.commit(draft);
  for (size_t i = 0; i < draft.steps.size(); ++i) {
    const auto& step = draft.steps[i];
    if (step.before) {
      remove_routes(*step.before);
      if (!step.after || !same_keys(*step.before, *step.after)) {
        forget_secrets(*step.before);
        forget_wireguard_keys(*step.before);
      }
    }
    if (!step.after) {
      entries_.erase(step.before->id);
      continue;
    }
    Entry& entry = entries_[step.after->id];
    if (entry.number == 0) entry.number = next_number_++;
    if (lists[i]) entry.lists = lists[i];
    add_routes(*step.after);
    learn_wireguard_keys(*step.after);
    expect_secrets(*step.after);
  }
}

std::vector<std::string> ClientDirectory::expire_rotations(int64_t now_ms) {
  auto ids = registry_.expire_rotations(now_ms);
  if (!ids.empty())
    secrets_.retain([&](const PublicKey& key) { return registry_.find_by_key(key, now_ms) != nullptr; });
  if (!ids.empty()) {
    std::erase_if(wireguard_keys_, [&](const auto& entry) { return !find_by_wireguard_key(entry.first).client; });
    wireguard_secrets_.retain([&](const PublicKey& key) { return wireguard_keys_.contains(key); });
  }
  return ids;
}

const SecretKey* ClientDirectory::shared_secret(const PublicKey& own, const PublicKey& theirs) const {
  // One key may serve both protocols; then whose key `theirs` is decides, and a stranger gets the native decoy.
  const bool wireguard = wireguard_keys_.contains(theirs);
  if (wireguard_secrets_.is_own(own) && (wireguard || !secrets_.is_own(own)))
    return wireguard_secrets_.find(own, theirs, wireguard);
  return secrets_.find(own, theirs, registry_.find_by_key(theirs, wall_clock_ms()) != nullptr);
}

void ClientDirectory::learn_wireguard_keys(const registry::Client& client) {
  if (client.wireguard_public_key) wireguard_keys_[*client.wireguard_public_key] = client.id;
  if (client.rotation && client.rotation->wireguard_public_key)
    wireguard_keys_[*client.rotation->wireguard_public_key] = client.id;
}

void ClientDirectory::forget_wireguard_keys(const registry::Client& client) noexcept {
  auto forget = [&](const std::optional<PublicKey>& key) {
    if (!key) return;
    wireguard_secrets_.forget(*key);
    wireguard_keys_.erase(*key);
  };
  forget(client.wireguard_public_key);
  if (client.rotation) forget(client.rotation->wireguard_public_key);
}

void ClientDirectory::expect_secrets(const registry::Client& client) {
  if (wireguard_secrets_.has_own()) {
    if (client.wireguard_public_key) wireguard_secrets_.expect(*client.wireguard_public_key);
    if (client.rotation && client.rotation->wireguard_public_key)
      wireguard_secrets_.expect(*client.rotation->wireguard_public_key);
  }
  secrets_.expect(client.noise_public_key);
  if (client.rotation) secrets_.expect(client.rotation->noise_public_key);
}

void ClientDirectory::forget_secrets(const registry::Client& client) noexcept {
  secrets_.forget(client.noise_public_key);
  if (client.rotation) secrets_.forget(client.rotation->noise_public_key);
}

void ClientDirectory::add_routes(const registry::Client& client) {
  tell_routes(RouteChange::Kind::add_client, client, entries_.at(client.id).number);
}

void ClientDirectory::remove_routes(const registry::Client& client) {
  auto it = entries_.find(client.id);
  if (it != entries_.end()) tell_routes(RouteChange::Kind::remove_client, client, it->second.number);
}

void ClientDirectory::tell_routes(RouteChange::Kind kind, const registry::Client& client, uint64_t number) {
  if (client.addresses.empty() && client.subnets.empty()) return;
  auto change = std::make_unique<RouteChange>(kind, 0, number);
  for (const auto& ip : client.addresses) change->prefixes.push_back(inet::host_prefix(ip));
  for (const auto& subnet : client.subnets) change->prefixes.push_back(subnet);
  routes_.append(std::move(change));
}

}  // namespace smartvpn::server
