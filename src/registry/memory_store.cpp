// The store that forgets: maps, a counter and the last changes.
#include "registry/store.hpp"

namespace smartvpn::registry {
namespace {

Error not_found(const std::string& id) { return make_error(Status::NOT_FOUND, "no client '" + id + "'"); }

Error taken_by(const std::string& what, const std::string& id, std::string path) {
  return make_error(Status::EXISTS, what + " belongs to client '" + id + "'", std::move(path));
}

}  // namespace

Result<std::vector<Client>> MemoryStore::load() {
  std::vector<Client> out;
  out.reserve(clients_.size());
  for (const auto& [id, client] : clients_) out.push_back(client);
  return out;
}

Result<Client> MemoryStore::get(const std::string& id) {
  auto it = clients_.find(id);
  if (it == clients_.end()) return not_found(id);
  return it->second;
}

Result<uint64_t> MemoryStore::insert(Client client) {
  if (clients_.count(client.id)) return make_error(Status::EXISTS, "client '" + client.id + "' exists", "/id");
  if (auto free = check_free(client); !free) return free.error();
  claim(client);
  client.revision = record(client.id, false);
  const uint64_t revision = client.revision;
  clients_.emplace(client.id, std::move(client));
  return revision;
}

Result<uint64_t> MemoryStore::replace(Client client) {
  auto old = find(client.id, client.revision);
  if (!old) return old.error();
  if (auto free = check_free(client); !free) return free.error();
  unclaim(**old);
  claim(client);
  client.revision = record(client.id, false);
  **old = std::move(client);
  return (*old)->revision;
}

Result<uint64_t> MemoryStore::remove(const std::string& id, uint64_t expected_revision) {
  auto old = find(id, expected_revision);
  if (!old) return old.error();
  const uint64_t revision = record(id, true);
  unclaim(**old);
  clients_.erase(clients_.find(id));
  return revision;
}

Result<ChangeFeed> MemoryStore::changes_since(uint64_t revision) {
  ChangeFeed out;
  out.revision = revision_;
  const uint64_t oldest = feed_.empty() ? revision_ + 1 : feed_.front().revision;
  out.complete = revision <= revision_ && revision + 1 >= oldest;
  if (!out.complete) return out;
  for (const Change& change : feed_)
    if (change.revision > revision) out.changes.push_back(change);
  return out;
}

Result<Client*> MemoryStore::find(const std::string& id, uint64_t expected_revision) {
  auto it = clients_.find(id);
  if (it == clients_.end()) return not_found(id);
  if (it->second.revision != expected_revision)
    return make_error(Status::CONFLICT, "client '" + id + "' was changed meanwhile");
  return &it->second;
}

// The entry's own earlier claims do not count.
Result<void> MemoryStore::check_free(const Client& client) const {
  auto key = id_of_key_.find(client.noise_public_key);
  if (key != id_of_key_.end() && key->second != client.id) return taken_by("the key", key->second, "/noise_public_key");
  for (size_t i = 0; i < client.addresses.size(); ++i) {
    auto it = id_of_address_.find(client.addresses[i]);
    if (it != id_of_address_.end() && it->second != client.id)
      return taken_by(client.addresses[i].text(), it->second, "/addresses/" + std::to_string(i));
  }
  return {};
}

void MemoryStore::claim(const Client& client) {
  id_of_key_[client.noise_public_key] = client.id;
  for (const auto& ip : client.addresses) id_of_address_[ip] = client.id;
}

void MemoryStore::unclaim(const Client& client) {
  id_of_key_.erase(client.noise_public_key);
  for (const auto& ip : client.addresses) id_of_address_.erase(ip);
}

uint64_t MemoryStore::record(const std::string& id, bool removed) {
  feed_.push_back({++revision_, id, removed});
  if (feed_.size() > feed_size_) feed_.pop_front();
  return revision_;
}

}  // namespace smartvpn::registry
