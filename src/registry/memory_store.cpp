// The store that forgets: maps, a counter and the last changes.
#include <algorithm>
#include <new>

#include "registry/store.hpp"

namespace smartvpn::registry {
namespace {

Error not_found(const std::string& id) { return make_error(Status::NOT_FOUND, "no client '" + id + "'"); }

std::string key_claim(const char* kind, const PublicKey& key) {
  return kind + std::string(reinterpret_cast<const char*>(key.data()), key.size());
}

}  // namespace

std::string wireguard_claim(const PublicKey& key) { return key_claim("wireguard:", key); }

std::vector<std::pair<std::string, std::string>> unique_claims(const Client& client) {
  std::vector<std::pair<std::string, std::string>> out;
  out.emplace_back(key_claim("noise:", client.noise_public_key), "/noise_public_key");
  if (client.wireguard_public_key)
    out.emplace_back(wireguard_claim(*client.wireguard_public_key), "/wireguard_public_key");
  if (client.rotation) {
    out.emplace_back(key_claim("noise:", client.rotation->noise_public_key), "/rotation/previous_noise_public_key");
    if (client.rotation->wireguard_public_key && client.rotation->wireguard_public_key != client.wireguard_public_key)
      out.emplace_back(wireguard_claim(*client.rotation->wireguard_public_key),
                       "/rotation/previous_wireguard_public_key");
  }
  for (size_t i = 0; i < client.addresses.size(); ++i)
    out.emplace_back("address:" + client.addresses[i].text(), "/addresses/" + std::to_string(i));
  return out;
}

// Entries and claims as they would be; null and "" stand for what would be gone.
class MemoryStore::Draft {
 public:
  explicit Draft(MemoryStore& store) : store_(store), revision_(store.revision_) {}

  Result<void> add(const Write& write) {
    const std::string& id = write.client.id;
    const Client* present = find(id);
    if (write.kind == Write::Kind::insert) {
      if (present) return make_error(Status::EXISTS, "client '" + id + "' exists", "/id");
    } else {
      if (!present) return not_found(id);
      if (present->revision != write.client.revision)
        return make_error(Status::CONFLICT, "client '" + id + "' was changed meanwhile");
      for (const auto& [claim, path] : unique_claims(*present)) owners_[claim].clear();
    }
    const bool removed = write.kind == Write::Kind::remove;
    if (!removed)
      if (auto claimed = claim(write.client); !claimed) return claimed;
    feed_.push_back({++revision_, id, removed});
    auto entry = removed ? nullptr : std::make_unique<Client>(write.client);
    if (entry) entry->revision = revision_;
    entries_[id] = std::move(entry);
    return {};
  }

  // Once every write was added. Throws with nothing done.
  uint64_t commit() {
    std::map<std::string, Client> clients;
    for (auto& [id, entry] : entries_)
      if (entry) clients.emplace(id, std::move(*entry));
    note_changes();
    // From here on nothing takes memory: the entries are made, and only move from map to map.
    for (const auto& [claim, id] : owners_) store_.owner_.erase(claim);
    std::erase_if(owners_, [](const auto& owned) { return owned.second.empty(); });
    store_.owner_.merge(owners_);
    for (const auto& [id, entry] : entries_) store_.clients_.erase(id);
    store_.clients_.merge(clients);
    while (store_.feed_.size() > store_.feed_size_) store_.feed_.pop_front();
    return store_.revision_ = revision_;
  }

 private:
  const Client* find(const std::string& id) const {
    if (auto it = entries_.find(id); it != entries_.end()) return it->second.get();
    auto it = store_.clients_.find(id);
    return it == store_.clients_.end() ? nullptr : &it->second;
  }
  std::string owner(const std::string& claim) const {
    if (auto it = owners_.find(claim); it != owners_.end()) return it->second;
    auto it = store_.owner_.find(claim);
    return it == store_.owner_.end() ? std::string() : it->second;
  }
  Result<void> claim(const Client& client) {
    for (const auto& [claim, path] : unique_claims(client)) {
      const std::string other = owner(claim);
      if (!other.empty() && other != client.id)
        return make_error(Status::EXISTS, "belongs to client '" + other + "'", path);
      owners_[claim] = client.id;
    }
    return {};
  }

  // All of them or none.
  void note_changes() {
    const size_t before = store_.feed_.size();
    try {
      for (Change& change : feed_) store_.feed_.push_back(std::move(change));
    } catch (const std::bad_alloc&) {
      while (store_.feed_.size() > before) store_.feed_.pop_back();
      throw;
    }
  }

  MemoryStore& store_;
  uint64_t revision_;
  std::map<std::string, std::unique_ptr<Client>> entries_;
  std::map<std::string, std::string> owners_;
  std::vector<Change> feed_;
};

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

Result<uint64_t> MemoryStore::apply(const std::vector<Write>& writes, std::optional<uint64_t> expected_revision) {
  if (expected_revision && *expected_revision != revision_)
    return make_error(Status::CONFLICT, "the registry was changed meanwhile");
  Draft draft(*this);
  for (size_t i = 0; i < writes.size(); ++i) {
    auto added = draft.add(writes[i]);
    if (added) continue;
    Error error = added.error();
    error.path = "/" + std::to_string(i) + error.path;
    return error;
  }
  return draft.commit();
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

Result<void> MemoryStore::save_stamps(const std::vector<HandshakeStamp>& stamps) {
  std::map<PublicKey, HandshakeStamp> merged = stamps_;
  for (const HandshakeStamp& stamp : stamps) {
    HandshakeStamp& kept = merged[stamp.key];
    kept = {stamp.key, std::max(kept.label, stamp.label), stamp.noted_ms};
  }
  stamps_.swap(merged);
  return {};
}

Result<std::vector<HandshakeStamp>> MemoryStore::load_stamps(int64_t forget_before_ms) {
  std::erase_if(stamps_, [&](const auto& entry) {
    return entry.second.noted_ms < forget_before_ms && !owner_.contains(wireguard_claim(entry.first));
  });
  std::vector<HandshakeStamp> out;
  out.reserve(stamps_.size());
  for (const auto& [key, stamp] : stamps_) out.push_back(stamp);
  return out;
}

}  // namespace smartvpn::registry
