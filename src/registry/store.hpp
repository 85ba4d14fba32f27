// Where client entries live. The registry keeps a copy in memory and writes through; every change
// has a revision, and the feed of changes lets several servers share one store. Calls are made by one
// thread at a time; a back end with a disk or a network may wait for it, and answers SYSTEM when that fails.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <utility>
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

// One change of a transaction.
struct Write {
  enum class Kind : uint8_t { insert, replace, remove };
  Kind kind = Kind::insert;
  // `revision` says which state replace and remove were made from; remove needs no more than it and the id.
  Client client;
};

// The greatest TAI64N label that a WireGuard key's handshakes have had: an older handshake is a replay.
struct HandshakeStamp {
  PublicKey key{};
  std::array<uint8_t, 12> label{};  // big-endian, so bytes compare as times do
  int64_t noted_ms = 0;             // wall clock
  friend bool operator==(const HandshakeStamp&, const HandshakeStamp&) = default;
};

class Store {
 public:
  virtual ~Store() = default;
  // All entries, in order of id.
  virtual Result<std::vector<Client>> load() = 0;
  // NOT_FOUND if there is none.
  virtual Result<Client> get(const std::string& id) = 0;
  // All of the writes, or none. Each makes one revision; the answer is that of the last one, and the
  // entries written then carry theirs: the n-th of N writes carries answer - N + n. When it returns OK the
  // store would survive the machine's sudden end (as far as it survives anything). No write: OK.
  // CONFLICT if `expected_revision` is given and is not the store's, or if an entry was changed since the
  // revision that a replace or remove was made from; NOT_FOUND if it is gone; EXISTS if an id, a key (Noise
  // and WireGuard keys, those of rotations too) or a fixed address is taken or would become another entry's;
  // SYSTEM when the disk or network refuses. Paths begin with the write's index: "/0/noise_public_key".
  virtual Result<uint64_t> apply(const std::vector<Write>& writes, std::optional<uint64_t> expected_revision) = 0;
  // Grows by one with every change; 0 for an empty new store.
  virtual Result<uint64_t> revision() = 0;
  virtual Result<ChangeFeed> changes_since(uint64_t revision) = 0;
  // Keeps each label, unless there is a greater one of its key. All or none, as durable as apply(). Whose the keys
  // are does not matter, and the registry's revision stays.
  virtual Result<void> save_stamps(const std::vector<HandshakeStamp>& stamps) = 0;
  // All of them, in order of key. Those that were noted before `forget_before_ms`, and whose key is no client's any
  // more, are forgotten first.
  virtual Result<std::vector<HandshakeStamp>> load_stamps(int64_t forget_before_ms) = 0;
};

// What no other client may have, with its path in the client's object: keys, those of a rotation, fixed
// addresses. Every store finds the same duplicates by it; a Noise and a WireGuard key may be equal.
std::vector<std::pair<std::string, std::string>> unique_claims(const Client& client);
// The claim on a WireGuard key among them.
std::string wireguard_claim(const PublicKey& key);

// Forgets everything with the process. The feed reaches `feed_size` changes back.
class MemoryStore final : public Store {
 public:
  explicit MemoryStore(size_t feed_size = 4096) : feed_size_(feed_size) {}
  Result<std::vector<Client>> load() override;
  Result<Client> get(const std::string& id) override;
  Result<uint64_t> apply(const std::vector<Write>& writes, std::optional<uint64_t> expected_revision) override;
  Result<uint64_t> revision() override { return revision_; }
  Result<ChangeFeed> changes_since(uint64_t revision) override;
  Result<void> save_stamps(const std::vector<HandshakeStamp>& stamps) override;
  Result<std::vector<HandshakeStamp>> load_stamps(int64_t forget_before_ms) override;

 private:
  // What a transaction changes, beside what was there: the maps are touched only when all of it is right.
  class Draft;

  const size_t feed_size_;
  uint64_t revision_ = 0;
  std::map<std::string, Client> clients_;
  std::map<std::string, std::string> owner_;  // id by what only one client may have: a key, an address
  std::deque<Change> feed_;
  std::map<PublicKey, HandshakeStamp> stamps_;
};

}  // namespace smartvpn::registry
