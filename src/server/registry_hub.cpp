// See registry_hub.hpp.
#include "server/registry_hub.hpp"

#include <thread>

#include "config/client_json.hpp"
#include "server/plan.hpp"
#include "server/shard.hpp"

namespace smartvpn::server {
namespace {

using Kind = ClientChange::Kind;

constexpr std::chrono::milliseconds kInsistPause(10);

const std::string& id_of(const ClientChange& change) {
  return change.kind == Kind::create ? change.spec.id : change.id;
}

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::create:
      return "created";
    case Kind::update:
      return "updated";
    case Kind::remove:
      return "removed";
    case Kind::enable:
      return "enabled";
    case Kind::disable:
      return "disabled";
    case Kind::rotate:
      return "rotated";
    case Kind::rotate_commit:
      return "rotation_committed";
    case Kind::rotate_roll_back:
      return "rotation_rolled_back";
  }
  return "changed";
}

Error at_index(Error error, size_t index) {
  error.path = "/" + std::to_string(index) + error.path;
  return error;
}

// "/3/addresses/0" of the steps becomes that of the changes.
Error at_change(Error error, const std::vector<size_t>& change_of_step) {
  size_t step = 0, digits = 1;
  for (; digits < error.path.size() && error.path[digits] >= '0' && error.path[digits] <= '9'; ++digits)
    step = step * 10 + static_cast<size_t>(error.path[digits] - '0');
  if (error.path.empty() || digits == 1 || step >= change_of_step.size()) return error;
  return at_index(make_error(error.status, std::move(error.text), error.path.substr(digits)), change_of_step[step]);
}

bool same_but_revision(registry::Client a, const registry::Client& b) {
  a.revision = b.revision;
  return a == b;
}

}  // namespace

// Turns changes into a draft, each over what the ones before it leave.
class RegistryHub::Drafting {
 public:
  Drafting(const registry::KeyRules& rules, int64_t now_ms, uint64_t revision) : rules_(rules), now_ms_(now_ms) {
    change.draft.base = revision;
  }

  void knows(const std::string& id, registry::ClientPtr client) { present_[id] = std::move(client); }
  Result<void> add(const ClientChange& wanted, size_t index, bool quiet);

  RegistryChange change;
  std::vector<size_t> change_of_step;
  struct Made {
    size_t change = 0, step = 0;
    registry::CreatedClient created;  // its client is the step's, once that is prepared
  };
  std::vector<Made> made;  // by create and rotate

 private:
  // The entry afterwards; nothing for one that is to go.
  Result<std::optional<registry::Client>> after(const ClientChange& wanted, const registry::Client* before,
                                                size_t index);
  Result<registry::Client> updated(const registry::Client& before, const ClientChange& wanted);
  // Nobody is handed the private half of a key that is made for a client of the configuration.
  registry::KeyRules rules_for(const ClientChange& wanted) const {
    registry::KeyRules out = rules_;
    if (wanted.if_missing) out.wireguard &= out.keep_private;
    return out;
  }
  Result<std::optional<registry::Client>> keep(Result<registry::CreatedClient> created, size_t index);

  const registry::KeyRules& rules_;
  const int64_t now_ms_;
  std::map<std::string, registry::ClientPtr> present_;
};

Result<void> RegistryHub::Drafting::add(const ClientChange& wanted, size_t index, bool quiet) {
  registry::ClientPtr& present = present_[id_of(wanted)];
  if (present && wanted.if_missing) return {};
  if (wanted.kind == Kind::create && present)
    return make_error(Status::EXISTS, "client '" + present->id + "' exists", "/id");
  if (wanted.kind != Kind::create && !present) return make_error(Status::NOT_FOUND, "no client '" + wanted.id + "'");
  auto result = after(wanted, present.get(), index);
  if (!result) return result.error();
  registry::Draft::Step step;
  step.before = present;
  step.kind = !present  ? registry::Write::Kind::insert
              : *result ? registry::Write::Kind::replace
                        : registry::Write::Kind::remove;
  ClientListsPtr lists;
  if (*result) {
    if (present && same_but_revision(**result, *present)) return {};  // nothing to do
    if (!present || !((*result)->security == present->security)) {
      auto compiled = compile_client_lists((*result)->security, "");
      if (!compiled) return compiled.error();
      lists = std::move(*compiled);
    }
    step.after = std::make_shared<registry::Client>(std::move(**result));
    step.after->revision = change.draft.revision() + 1;
  }
  present = step.after;
  change.draft.steps.push_back(std::move(step));
  change.lists.push_back(std::move(lists));
  change.names.push_back(quiet ? nullptr : name_of(wanted.kind));
  change_of_step.push_back(index);
  return {};
}

Result<std::optional<registry::Client>> RegistryHub::Drafting::after(const ClientChange& wanted,
                                                                     const registry::Client* before, size_t index) {
  using Answer = std::optional<registry::Client>;
  auto wrap = [](Result<registry::Client> client) -> Result<Answer> {
    if (!client) return client.error();
    return Answer(std::move(*client));
  };
  switch (wanted.kind) {
    case Kind::create:
      return keep(registry::new_client(wanted.spec, rules_for(wanted), system_rng()), index);
    case Kind::update:
      return wrap(updated(*before, wanted));
    case Kind::remove:
      return Answer();
    case Kind::rotate:
      return keep(registry::rotated_client(*before, wanted.rotate, rules_, now_ms_, system_rng()), index);
    case Kind::rotate_commit:
      return wrap(registry::committed_client(*before, now_ms_));
    case Kind::rotate_roll_back:
      return wrap(registry::rolled_back_client(*before, now_ms_));
    case Kind::enable:
    case Kind::disable:
      break;
  }
  registry::Client switched = *before;
  switched.enabled = wanted.kind == Kind::enable;
  return Answer(std::move(switched));
}

Result<std::optional<registry::Client>> RegistryHub::Drafting::keep(Result<registry::CreatedClient> created,
                                                                    size_t index) {
  if (!created) return created.error();
  std::optional<registry::Client> client = created->client;
  made.push_back({index, change.draft.steps.size(), std::move(*created)});
  return client;
}

Result<registry::Client> RegistryHub::Drafting::updated(const registry::Client& before, const ClientChange& wanted) {
  if (wanted.expected_revision != 0 && wanted.expected_revision != before.revision)
    return make_error(Status::CONFLICT, "client '" + before.id + "' was changed meanwhile");
  auto patched = config::patch_client_config(to_config(before), wanted.patch);
  if (!patched) return std::move(patched).error();
  return registry::updated_client(before, to_spec(*patched));
}

Result<void> RegistryHub::start(std::unique_ptr<registry::Store> store, Shard& shard,
                                const std::vector<config::ClientConfig>& clients) {
  auto stored = store->load();
  if (!stored) return stored.error();
  auto revision = store->revision();
  if (!revision) return revision.error();
  if (auto loaded = shard.load_clients(std::move(*stored), *revision); !loaded) return loaded;
  auto stamps = store->load_stamps(wall_clock_ms() - HandshakeStamps::kForgetAfterMs);
  if (!stamps) return std::move(stamps).error();
  shard.stamps().load(*stamps);
  store_ = std::move(store);
  return declare(
      clients, [&shard](size_t, const Command& command) { return command(shard); }, true);
}

void RegistryHub::set_rules(registry::KeyRules rules) {
  MutexLock lock(mutex_);
  rules_ = rules;
}

Result<void> RegistryHub::save_stamps(const std::vector<registry::HandshakeStamp>& stamps) {
  MutexLock lock(mutex_);
  if (!store_) return make_error(Status::BAD_STATE, "the server is not running");
  return store_->save_stamps(stamps);
}

void RegistryHub::stop() {
  MutexLock lock(mutex_);
  store_.reset();
}

Result<AppliedChanges> RegistryHub::apply(const std::vector<ClientChange>& changes,
                                          std::optional<uint64_t> expected_revision, const Ready& ready) {
  MutexLock lock(mutex_);
  return run(changes, expected_revision, on_shard_, false, ready);
}

Result<AppliedChanges> RegistryHub::apply_one(const ClientChange& change, const Ready& ready) {
  auto applied = apply({change}, std::nullopt, ready);
  if (applied) return applied;
  Error error = std::move(applied).error();
  if (error.path.starts_with("/0")) error.path.erase(0, 2);
  return error;
}

Result<void> RegistryHub::declare(const std::vector<config::ClientConfig>& clients, const Command& and_then) {
  MutexLock lock(mutex_);
  if (auto declared = declare(clients, on_shard_, false); !declared) return declared;
  return insist_everywhere(on_shard_, and_then);
}

Result<void> RegistryHub::declare(const std::vector<config::ClientConfig>& clients, const OnShard& on_shard,
                                  bool quiet) {
  std::vector<ClientChange> changes;
  for (const auto& client : clients) {
    ClientChange& change = changes.emplace_back();
    change.kind = Kind::create;
    change.if_missing = true;
    change.spec = to_spec(client);
  }
  auto applied = run(changes, std::nullopt, on_shard, quiet, {});
  if (applied) return {};
  Error error = std::move(applied).error();
  if (!error.path.empty()) error.path.insert(0, "/clients");
  return error;
}

Result<void> RegistryHub::insist_everywhere(const OnShard& on_shard, const Command& command) const {
  for (size_t shard = 0; shard < shards_; ++shard)
    if (auto done = insist(on_shard, shard, command); !done) return done;
  return {};
}

Result<void> RegistryHub::insist(const OnShard& on_shard, size_t shard, const Command& command) {
  for (;; std::this_thread::sleep_for(kInsistPause)) {
    try {
      Result<void> result = on_shard(shard, command);
      const Status status = result ? Status::OK : result.error().status;
      if (status != Status::NO_MEMORY && status != Status::LIMIT) return result;
    } catch (const std::bad_alloc&) {
      continue;
    }
  }
}

Result<AppliedChanges> RegistryHub::run(const std::vector<ClientChange>& changes,
                                        std::optional<uint64_t> expected_revision, const OnShard& on_shard, bool quiet,
                                        const Ready& ready) {
  if (!store_) return make_error(Status::BAD_STATE, "the server is not running");
  std::optional<Drafting> drafting;
  ServerFacts facts;
  const registry::KeyRules rules = rules_;
  auto looked = on_shard(0, [&](Shard& shard) -> Result<void> {
    shard.with_clients([&](const ClientDirectory& clients) {
      const registry::Registry& registry = clients.registry();
      drafting.emplace(rules, wall_clock_ms(), registry.revision());
      for (const ClientChange& change : changes) drafting->knows(id_of(change), registry.share(id_of(change)));
    });
    facts = shard.facts();
    return {};
  });
  if (!looked) return looked.error();
  const uint64_t base = drafting->change.draft.base;
  if (expected_revision && *expected_revision != base)
    return make_error(Status::CONFLICT, "the registry was changed meanwhile");
  for (size_t i = 0; i < changes.size(); ++i)
    if (auto added = drafting->add(changes[i], i, quiet); !added) return at_index(added.error(), i);

  AppliedChanges out;
  out.made.resize(changes.size());
  out.revision = base;
  if (drafting->change.draft.steps.empty()) return out;
  if (auto done = store_and_commit(*drafting, facts, on_shard, out, ready); !done) return done.error();
  return out;
}

Result<void> RegistryHub::store_and_commit(Drafting& drafting, const ServerFacts& facts, const OnShard& on_shard,
                                           AppliedChanges& out, const Ready& ready) {
  RegistryChange& change = drafting.change;
  // Whatever fails before the store has it, what was reserved is given back.
  struct Reservation {
    const OnShard& on_shard;
    RegistryChange& change;
    bool held = true;
    ~Reservation() {
      if (!held) return;
      (void)insist(on_shard, 0, [this](Shard& shard) -> Result<void> {
        shard.roll_back(change);
        return {};
      }).ok();
    }
  } reservation{on_shard, change};
  auto prepared = on_shard(0, [&](Shard& shard) { return shard.prepare(change); });
  if (!prepared) return at_change(prepared.error(), drafting.change_of_step);
  // What the answer needs is made while the change can still fail.
  for (auto& made : drafting.made) {
    made.created.client = *change.draft.steps[made.step].after;
    out.made[made.change] = make_new_client(facts, std::move(made.created));
  }
  if (ready) ready(out);
  auto written = store_->apply(change.draft.writes(), change.draft.base);
  if (!written) return at_change(written.error(), drafting.change_of_step);
  reservation.held = false;
  out.revision = *written;
  auto committed = commit(change, on_shard);
  // A server that stopped meanwhile has no copy any more; the change is in the store all the same.
  if (!committed && committed.error().status != Status::BAD_STATE) return committed;
  return {};
}

Result<void> RegistryHub::commit(RegistryChange& change, const OnShard& on_shard) const {
  auto done = insist(on_shard, 0, [&](Shard& shard) -> Result<void> {
    shard.commit(change);
    shard.judge_sessions(change);
    if (shards_ == 1) shard.settle_sessions(change);
    return {};
  });
  for (size_t other = 1; done && other < shards_; ++other) {
    done = insist(on_shard, other, [&](Shard& shard) -> Result<void> {
      shard.judge_sessions(change);
      return {};
    });
  }
  if (!done || shards_ == 1) return done;
  return insist_everywhere(on_shard, [&](Shard& shard) -> Result<void> {
    shard.settle_sessions(change);
    return {};
  });
}

}  // namespace smartvpn::server
