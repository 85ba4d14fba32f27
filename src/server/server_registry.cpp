// The registry's face: changes go to the hub, questions to the shard's copy.
#include "server/client_query.hpp"
#include "server/server_impl.hpp"

namespace smartvpn::server {
namespace {

Result<NewClient> only_one(Result<AppliedChanges> applied) {
  if (!applied) return std::move(applied).error();
  return std::move(*applied->made.at(0));
}

Result<void> without_answer(const Result<AppliedChanges>& applied) {
  return applied ? Result<void>() : Result<void>(applied.error());
}

}  // namespace

using Kind = ClientChange::Kind;

Result<NewClient> Server::client_create(const registry::ClientSpec& spec, const Ready& ready) {
  ClientChange change(Kind::create);
  change.spec = spec;
  return only_one(impl_->registry_.apply_one(change, ready));
}
Result<void> Server::client_update(const std::string& id, std::string_view patch, uint64_t expected_revision) {
  ClientChange change(Kind::update, id);
  change.patch = patch;
  change.expected_revision = expected_revision;
  return without_answer(impl_->registry_.apply_one(change));
}
Result<void> Server::client_set_enabled(const std::string& id, bool enabled) {
  return without_answer(impl_->registry_.apply_one(ClientChange(enabled ? Kind::enable : Kind::disable, id)));
}
Result<void> Server::client_remove(const std::string& id) {
  return without_answer(impl_->registry_.apply_one(ClientChange(Kind::remove, id)));
}
Result<NewClient> Server::client_rotate(const std::string& id, const registry::RotateOptions& options,
                                        const Ready& ready) {
  ClientChange change(Kind::rotate, id);
  change.rotate = options;
  return only_one(impl_->registry_.apply_one(change, ready));
}
Result<void> Server::client_rotate_commit(const std::string& id) {
  return without_answer(impl_->registry_.apply_one(ClientChange(Kind::rotate_commit, id)));
}
Result<void> Server::client_rotate_roll_back(const std::string& id) {
  return without_answer(impl_->registry_.apply_one(ClientChange(Kind::rotate_roll_back, id)));
}
Result<AppliedChanges> Server::transact(const std::vector<ClientChange>& changes, uint64_t expected_revision,
                                        const Ready& ready) {
  const auto expected = expected_revision != 0 ? std::optional(expected_revision) : std::nullopt;
  return impl_->registry_.apply(changes, expected, ready);
}
Result<registry::Client> Server::client_get(const std::string& id) {
  return impl_->command([id](Shard& shard) -> Result<registry::Client> {
    return shard.with_clients([&](const ClientDirectory& clients) { return clients.registry().get(id); });
  });
}
Result<std::vector<registry::ClientPtr>> Server::client_list() {
  return impl_->command([](Shard& shard) -> Result<std::vector<registry::ClientPtr>> {
    return shard.with_clients([](const ClientDirectory& clients) { return clients.registry().list(); });
  });
}
Result<ClientPage> Server::client_query(const config::ClientQuery& query) {
  ClientSnapshot all;
  auto taken = impl_->command([&all, &query](Shard& shard) -> Result<void> {
    shard.with_clients([&](const ClientDirectory& clients) {
      all.clients = clients.registry().list();
      all.revision = clients.registry().revision();
    });
    if (query.online) all.online = shard.clients_online();
    return {};
  });
  if (!taken) return taken.error();
  return page_of(all, query);
}
Result<ExportedClient> Server::client_export(const std::string& id, bool wireguard) {
  registry::ClientPtr client;
  ServerFacts facts;
  auto taken = impl_->command([&id, &client, &facts](Shard& shard) -> Result<void> {
    client = shard.with_clients([&](const ClientDirectory& clients) { return clients.registry().share(id); });
    facts = shard.facts();
    return {};
  });
  if (!taken) return taken.error();
  if (!client) return make_error(Status::NOT_FOUND, "no client '" + id + "'");
  const SecretKey* key = wireguard ? client->wireguard_private_key.get() : client->noise_private_key.get();
  ExportedClient out;
  out.text = wireguard ? wireguard_config(facts, *client, key) : native_config(facts, key);
  if (out.text.empty()) return make_error(Status::UNSUPPORTED, "client or server has no WireGuard key");
  out.has_private_key = key != nullptr;
  return out;
}
Result<uint64_t> Server::registry_revision() {
  return impl_->command([](Shard& shard) -> Result<uint64_t> {
    return shard.with_clients([](const ClientDirectory& clients) { return clients.registry().revision(); });
  });
}

}  // namespace smartvpn::server
