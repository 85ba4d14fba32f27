// How the registry is changed: on the caller's thread, one change at a time, through three stations. The
// first shard checks and reserves, the store writes, the first shard commits, and all shards act on live sessions.
// Only the caller waits for the disk; shards run short commands, and nothing is answered before all of it is done.
#pragma once

#include <functional>
#include <optional>

#include "base/mutex.hpp"
#include "registry/client_changes.hpp"
#include "registry/registry.hpp"
#include "server/client_directory.hpp"
#include "server/client_forms.hpp"
#include "server/server.hpp"

namespace smartvpn::server {

class Shard;

// A change on its way through the shard.
struct RegistryChange {
  registry::Draft draft;
  std::vector<ClientListsPtr> lists;  // of each step; null: as before
  std::vector<const char*> names;     // of each step, for client_changed; null: not told
  size_t told = 0;                    // steps whose event went out
};

// Any thread.
class RegistryHub {
 public:
  using Command = std::function<Result<void>(Shard&)>;
  using Ready = Server::Ready;
  // Runs the command on the thread of that shard and waits for it: its result, BAD_STATE if there is no such thread
  // (any more), LIMIT or NO_MEMORY if it could not be asked now.
  using OnShard = std::function<Result<void>(size_t shard, const Command&)>;

  RegistryHub(OnShard on_shard, registry::KeyRules rules, size_t shards = 1)
      : on_shard_(std::move(on_shard)), shards_(shards), rules_(rules) {}

  // No change runs while it lives. To be had before the server's own lock, as changes have them.
  Mutex& changing() RETURN_CAPABILITY(mutex_) { return mutex_; }

  // Before the shard's thread runs, within a hold: fills its copy from the store, and creates those of `clients` that
  // are missing. Paths of errors begin with "/clients/<index>".
  Result<void> start(std::unique_ptr<registry::Store> store, Shard& shard,
                     const std::vector<config::ClientConfig>& clients) REQUIRES(mutex_);
  // Keys for new clients are made by these rules from now on.
  void set_rules(registry::KeyRules rules);
  // Waits for a change that is being written, and for the disk. BAD_STATE without a store.
  Result<void> save_stamps(const std::vector<registry::HandshakeStamp>& stamps);
  // Gives the store up; afterwards every change is BAD_STATE.
  void stop();

  // All of them or none. Paths begin with "/<change>". With an `expected_revision`: CONFLICT if that is
  // not the registry's.
  Result<AppliedChanges> apply(const std::vector<ClientChange>& changes, std::optional<uint64_t> expected_revision,
                               const Ready& ready = {});
  // The same for one change, with paths inside the client's JSON.
  Result<AppliedChanges> apply_one(const ClientChange& change, const Ready& ready = {});
  // Those that are missing, as start(), and then `and_then` on every shard: what was created stays only together with
  // what it came with, so that is insisted upon. It may run again after NO_MEMORY or LIMIT.
  Result<void> declare(const std::vector<config::ClientConfig>& clients, const Command& and_then);
  // On every shard, for what has to follow a change that was made: insisted upon likewise.
  Result<void> insist_everywhere(const Command& command) const { return insist_everywhere(on_shard_, command); }

 private:
  class Drafting;
  Result<AppliedChanges> run(const std::vector<ClientChange>& changes, std::optional<uint64_t> expected_revision,
                             const OnShard& on_shard, bool quiet, const Ready& ready) REQUIRES(mutex_);
  Result<void> declare(const std::vector<config::ClientConfig>& clients, const OnShard& on_shard, bool quiet)
      REQUIRES(mutex_);
  Result<void> store_and_commit(Drafting& drafting, const ServerFacts& facts, const OnShard& on_shard,
                                AppliedChanges& out, const Ready& ready) REQUIRES(mutex_);
  Result<void> commit(RegistryChange& change, const OnShard& on_shard) const;
  // What is decided must reach the copy, however long memory or the shard's queue is short: else the copy would not be
  // the store's any more. Ends with the server at the latest.
  static Result<void> insist(const OnShard& on_shard, size_t shard, const Command& command);
  Result<void> insist_everywhere(const OnShard& on_shard, const Command& command) const;

  const OnShard on_shard_;
  const size_t shards_;
  Mutex mutex_;  // one change at a time, the store's write included
  registry::KeyRules rules_ GUARDED_BY(mutex_);
  std::unique_ptr<registry::Store> store_ GUARDED_BY(mutex_);
};

}  // namespace smartvpn::server
