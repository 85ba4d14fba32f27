// Where client entries live. The registry keeps a copy in memory and writes through; every change
// has a revision, and the feed of changes lets several servers share one store. Calls are made by one
// thread; a back end with a disk or a network answers SYSTEM when that fails.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "registry/client.hpp"

namespace smartvpn::registry {

struct Change {
  uint64_t revision = 0;
  std::string id;
  bool removed = false;
  friend bool operator==(const Change&, const Change&) = default;
};

struct ChangeFeed {
  std::vector<Change> changes;  // in order of revision, each above the one asked for
  uint64_t revision = 0;        // the store's revision when it was read
  bool complete = true;         // false: the feed no longer reaches back that far; load everything
};

class Store {
 public:
  virtual ~Store() = default;
  // All entries, in order of id.
  virtual Result<std::vector<Client>> load() = 0;
  // NOT_FOUND if there is none.
  virtual Result<Client> get(const std::string& id) = 0;
  // The new revision, which the entry then carries. EXISTS if the id, the key or a fixed address is
  // taken; paths as in the client's object.
  virtual Result<uint64_t> insert(Client client) = 0;
  // The entry's `revision` says which state it was made from: CONFLICT if somebody changed it since,
  // NOT_FOUND if it is gone. EXISTS if the key or an address would become another entry's.
  virtual Result<uint64_t> replace(Client client) = 0;
  // CONFLICT and NOT_FOUND as above.
  virtual Result<uint64_t> remove(const std::string& id, uint64_t expected_revision) = 0;
  // Grows by one with every change; 0 for an empty new store.
  virtual Result<uint64_t> revision() = 0;
  virtual Result<ChangeFeed> changes_since(uint64_t revision) = 0;
};

// Forgets everything with the process. The feed reaches `feed_size` changes back.
class MemoryStore final : public Store {
 public:
  explicit MemoryStore(size_t feed_size = 4096) : feed_size_(feed_size) {}
  Result<std::vector<Client>> load() override;
  Result<Client> get(const std::string& id) override;
  Result<uint64_t> insert(Client client) override;
  Result<uint64_t> replace(Client client) override;
  Result<uint64_t> remove(const std::string& id, uint64_t expected_revision) override;
  Result<uint64_t> revision() override { return revision_; }
  Result<ChangeFeed> changes_since(uint64_t revision) override;

 private:
  Result<Client*> find(const std::string& id, uint64_t expected_revision);
  Result<void> check_free(const Client& client) const;
  void claim(const Client& client);
  void unclaim(const Client& client);
  uint64_t record(const std::string& id, bool removed);

  const size_t feed_size_;
  uint64_t revision_ = 0;
  std::map<std::string, Client> clients_;
  std::map<PublicKey, std::string> id_of_key_;
  std::map<inet::IpAddress, std::string> id_of_address_;
  std::deque<Change> feed_;
};

}  // namespace smartvpn::registry
