// Transactions (smartvpn.h, section 9): changes noted one by one, and made as one.
#include "base/mutex.hpp"
#include "capi/arguments.hpp"
#include "capi/call.hpp"
#include "capi/credentials_object.hpp"
#include "capi/server_object.hpp"

namespace smartvpn::capi {
namespace {

using server::ClientChange;

constexpr size_t kMaxChanges = 10000;

// Names its server by the handle, so it may outlive it.
class TransactionObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::transaction;
  explicit TransactionObject(const smartvpn_server* server) : server_(server) {}

  Result<void> note(ClientChange change) {
    MutexLock lock(mutex_);
    if (committed_) return over();
    if (changes_.size() >= kMaxChanges) return make_error(Status::LIMIT, "a transaction has at most 10000 changes");
    changes_.push_back(std::move(change));
    return {};
  }

  Result<void> commit(uint64_t expected_revision, uint64_t* revision) {
    MutexLock lock(mutex_);
    if (committed_) return over();
    Reference<ServerObject> object(value_of(server_));
    if (!object) return handle_error(object.status());
    std::vector<std::unique_ptr<CredentialsObject>> made(changes_.size());
    auto applied = (*object).server->transact(changes_, expected_revision, [&made](server::AppliedChanges& done) {
      for (size_t i = 0; i < made.size(); ++i)
        if (done.made[i]) made[i] = std::make_unique<CredentialsObject>(std::move(*done.made[i]));
    });
    if (!applied) return std::move(applied).error();
    committed_ = true;
    if (revision) *revision = applied->revision;
    made_ = std::move(made);
    return {};
  }

  Result<void> take(size_t index, smartvpn_credentials** out) {
    MutexLock lock(mutex_);
    if (!committed_) return make_error(Status::BAD_STATE, "the transaction is not committed");
    if (index >= made_.size() || !made_[index]) return make_error(Status::NOT_FOUND, "no credentials at this index");
    Place place;
    place.give(out, std::move(made_[index]));
    return {};
  }

 private:
  static Error over() { return make_error(Status::BAD_STATE, "the transaction is committed"); }

  const smartvpn_server* const server_;
  Mutex mutex_;
  std::vector<ClientChange> changes_ GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<CredentialsObject>> made_ GUARDED_BY(mutex_);  // by change, until taken
  bool committed_ GUARDED_BY(mutex_) = false;
};

Result<ClientChange> named(ClientChange::Kind kind, const char* id) {
  if (!id) return null_argument("id");
  if (!registry::is_valid_client_id(id)) return make_error(Status::INVALID, "not an id that a client can have", "/id");
  return ClientChange(kind, id);
}

}  // namespace
}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_transaction_begin(smartvpn_server* server, smartvpn_transaction** out, smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject&) -> Result<void> {
    if (!out) return null_argument("out");
    give(out, std::make_unique<TransactionObject>(server));
    return {};
  });
}

smartvpn_status smartvpn_transaction_create(smartvpn_transaction* transaction, const char* json, size_t json_len,
                                            smartvpn_error** err) {
  return call<TransactionObject>(transaction, err, [&](TransactionObject& object) -> Result<void> {
    auto text = json_argument(json, json_len);
    if (!text) return std::move(text).error();
    auto spec = parse_spec(*text);
    if (!spec) return std::move(spec).error();
    if (auto valid = registry::validate_client(*spec); !valid) return valid;
    ClientChange change(ClientChange::Kind::create);
    change.spec = std::move(*spec);
    return object.note(std::move(change));
  });
}

smartvpn_status smartvpn_transaction_update(smartvpn_transaction* transaction, const char* id, const char* json,
                                            size_t json_len, smartvpn_error** err) {
  return call<TransactionObject>(transaction, err, [&](TransactionObject& object) -> Result<void> {
    auto change = named(ClientChange::Kind::update, id);
    if (!change) return std::move(change).error();
    auto text = json_argument(json, json_len);
    if (!text) return std::move(text).error();
    if (auto valid = config::check_client_patch(*text); !valid) return valid;
    change->patch = *text;
    return object.note(std::move(*change));
  });
}

smartvpn_status smartvpn_transaction_remove(smartvpn_transaction* transaction, const char* id, smartvpn_error** err) {
  return call<TransactionObject>(transaction, err, [&](TransactionObject& object) -> Result<void> {
    auto change = named(ClientChange::Kind::remove, id);
    if (!change) return std::move(change).error();
    return object.note(std::move(*change));
  });
}

smartvpn_status smartvpn_transaction_commit(smartvpn_transaction* transaction, uint64_t expected_revision,
                                            uint64_t* revision, smartvpn_error** err) {
  return call<TransactionObject>(transaction, err,
                                 [&](TransactionObject& object) { return object.commit(expected_revision, revision); });
}

smartvpn_status smartvpn_transaction_credentials(smartvpn_transaction* transaction, size_t index,
                                                 smartvpn_credentials** out, smartvpn_error** err) {
  return call<TransactionObject>(transaction, err, [&](TransactionObject& object) -> Result<void> {
    if (!out) return null_argument("out");
    return object.take(index, out);
  });
}

smartvpn_status smartvpn_transaction_free(smartvpn_transaction* transaction) {
  return free_handle<TransactionObject>(transaction);
}
