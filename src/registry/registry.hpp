// The registry: every client a server knows, found by id and by key. This is the copy in memory, for the
// handshake's look-up; the store has the truth. A change is drafted by whoever asks, prepared here (checked,
// and its addresses and prefixes reserved), written to the store elsewhere, and then committed here or rolled
// back. So a slow disk holds up nobody but the caller, and a failure leaves nothing behind.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/rng.hpp"
#include "inet/prefix_claims.hpp"
#include "registry/address_pool.hpp"
#include "registry/store.hpp"

namespace smartvpn::registry {

// Changes that happen together, in order. One draft at a time is between prepare() and its end.
struct Draft {
  struct Step {
    Write::Kind kind = Write::Kind::insert;
    ClientPtr before;               // as the steps before this one leave it; null for insert
    std::shared_ptr<Client> after;  // null for remove. Its addresses and revision are completed by prepare()
  };
  uint64_t base = 0;  // the registry's revision that it was made from
  std::vector<Step> steps;

  // What the store shall write; its paths are then the steps' indices.
  std::vector<Write> writes() const;
  uint64_t revision() const noexcept { return base + steps.size(); }

 private:
  friend class Registry;
  size_t claimed_ = 0;                  // steps whose claims are in place
  std::vector<inet::IpAddress> fresh_;  // reserved by this draft
  std::set<inet::IpAddress> given_up_;  // reserved still, but nobody's once this is committed
};

// Seeded, so that nobody who may choose keys can choose collisions.
struct KeyHash {
  uint64_t seed = 0;
  size_t operator()(const PublicKey& key) const noexcept;
};

// Single-threaded, owned by a shard. Times are wall clock. Pointers to entries hold until the next change;
// a ClientPtr for as long as it is kept.
class Registry {
 public:
  struct Options {
    // Clients with a WireGuard key and one session get fixed addresses of every family.
    bool wireguard_addresses = false;
  };
  // Takes what the store has. `pool` must outlive the registry. An entry whose fixed address or subnet does
  // not fit the subnets is an error that names the client, and reserves nothing.
  static Result<Registry> open(std::vector<Client> clients, uint64_t revision, AddressPool& pool, Rng& rng,
                               Options options);
  static Result<Registry> open(std::vector<Client> clients, uint64_t revision, AddressPool& pool, Rng& rng) {
    return open(std::move(clients), revision, pool, rng, Options());
  }

  // INVALID or EXISTS for addresses and subnets, LIMIT when no address is left, each with a path
  // "/<step>/addresses/<index>"; CONFLICT if the draft is of another revision. Ids and keys are the store's to
  // refuse. On failure nothing is reserved; after std::bad_alloc roll_back() is due.
  Result<void> prepare(Draft& draft);
  // Both may be called again after std::bad_alloc, with the same result as once.
  void commit(const Draft& draft);
  void roll_back(Draft& draft);

  Result<Client> get(const std::string& id) const;  // NOT_FOUND
  std::vector<ClientPtr> list() const;              // in order of id

  // Null if unknown. By key in constant time, whatever the number of clients; the key before a rotation finds
  // its client as long as they overlap.
  const Client* find(const std::string& id) const;
  ClientPtr share(const std::string& id) const;
  const Client* find_by_key(const PublicKey& key, int64_t now_ms) const;

  // The client has come with its new key: true the first time. Kept here until the entry's next write.
  bool note_new_key(const std::string& id);
  // Ends rotations whose overlap is over, here at once and in the store with the entry's next write. Ids of those.
  std::vector<std::string> expire_rotations(int64_t now_ms);

  // For clients that are created or changed from now on.
  void set_options(Options options) noexcept { options_ = options; }

  size_t size() const noexcept { return clients_.size(); }
  // The store's revision that this copy shows.
  uint64_t revision() const noexcept { return revision_; }

 private:
  Registry(AddressPool& pool, uint64_t seed, Options options);
  Result<void> load(std::vector<Client> clients);
  Result<void> fill_addresses(Draft& draft, Draft::Step& step);
  Result<void> claim(Draft& draft, const Draft::Step& step);
  Result<void> claim_subnets(const Client* before, const Client& after) const;
  void add_claims(const Client& client);
  void remove_claims(const Client& client);
  // Into and out of the maps; the caller has checked.
  void index(const ClientPtr& client);
  void unindex(const Client& client);

  AddressPool* pool_;
  Options options_;
  uint64_t revision_ = 0;
  inet::PrefixClaims claims_;
  std::map<std::string, ClientPtr> clients_;
  std::unordered_map<PublicKey, ClientPtr, KeyHash> by_key_;
  std::set<std::string> rotating_;
};

}  // namespace smartvpn::registry
