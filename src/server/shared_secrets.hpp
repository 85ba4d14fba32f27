// What our static key and each client's make together (`ss` of the handshake), computed before anybody calls: a
// quarter of what a handshake costs. Wiped with the client. One thread at a time.
//
// All or nothing: while one is missing, none is given out, and a stranger's guess gets a decoy where a client's key
// gets its secret. So the time a refusal takes tells nobody whether a key is registered, or for how long.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "crypto/x25519.hpp"
#include "registry/registry.hpp"
#include "session/responder.hpp"

namespace smartvpn::server {

class SharedSecrets {
 public:
  SharedSecrets();

  // Another key of ours: everything is to be computed again. Only the current one is served.
  void set_own(std::shared_ptr<const session::StaticKeys> own);
  // A key of a client's; without effect if it is there. After std::bad_alloc it may be repeated.
  void expect(const PublicKey& theirs);
  void forget(const PublicKey& theirs) noexcept;
  // Forgets those for which `keep(key)` is false.
  template <class Keep>
  void retain(Keep&& keep) {
    std::erase_if(secrets_, [&](const auto& entry) { return !keep(entry.first); });
  }

  // Computes up to `count` of those that are missing. True: some are left.
  bool work(size_t count) noexcept;
  bool has_own() const noexcept { return own_ != nullptr; }
  bool is_own(const PublicKey& own) const noexcept { return own_ && own_->current.pub == own; }
  bool complete() const noexcept { return own_ && missing_.empty(); }

  // Null: to be computed by whoever needs it. `known`: `theirs` is a client's key at this time. Valid until the
  // next change.
  const SecretKey* find(const PublicKey& own, const PublicKey& theirs, bool known) const noexcept;
  size_t size() const noexcept { return secrets_.size(); }

 private:
  std::shared_ptr<const session::StaticKeys> own_;
  std::unordered_map<PublicKey, SecretKey, registry::KeyHash> secrets_;  // zero: not computed, or impossible
  std::vector<PublicKey> missing_;                                       // some may be gone meanwhile
  SecretKey decoy_;
};

}  // namespace smartvpn::server
