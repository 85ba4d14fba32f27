// Clients in all their forms. Input: lines of JSON; the first is a client, the next a change of it, then a query, the
// options of a rotation and an answer to an authorize request; what follows is an endpoint for WireGuard. What is
// refused names a place; what is taken keeps its meaning as JSON, as the registry's entry and as rows of the store, and
// its WireGuard configuration has no line that nobody wrote.
#include <sqlite3.h>

#include <map>

#include "config/authorize_answer.hpp"
#include "config/client_json.hpp"
#include "fuzz/require.hpp"
#include "registry/sqlite_codec.hpp"
#include "server/client_forms.hpp"
#include "server/plan.hpp"

using namespace smartvpn;

namespace {

using smartvpn::fuzz::require;

void check_error(const Error& error) {
  require(error.status == Status::INVALID || error.status == Status::UNSUPPORTED);
  require(!error.text.empty() && (error.path.empty() || error.path[0] == '/'));
}

// A statement whose columns are its parameters, so that what was bound is read as a row.
class EchoRow {
 public:
  EchoRow() {
    require(sqlite3_open(":memory:", &db_) == SQLITE_OK);
    sqlite3_stmt* made = nullptr;
    const std::string sql = std::string("SELECT ") + registry::kSqliteClientMarks;
    require(sqlite3_prepare_v2(db_, sql.c_str(), -1, &made, nullptr) == SQLITE_OK);
    statement = registry::SqliteStatement(made);
  }
  ~EchoRow() {
    statement = registry::SqliteStatement();
    sqlite3_close(db_);
  }
  registry::SqliteStatement statement;

 private:
  sqlite3* db_ = nullptr;
};

void check_rows(const registry::Client& client) {
  static EchoRow row;
  registry::SqliteUse use(row.statement);
  registry::bind_client_row(row.statement, client, client.revision);
  auto there = row.statement.step();
  require(there && *there);
  auto again = registry::read_client_row(row.statement);
  require(again.ok());
  for (const auto& item : registry::items_of(client))
    require(registry::add_item(*again, static_cast<int64_t>(item.kind), item.value).ok());
  require(*again == client);
}

// Key by section: each as often as its writer put it there, and nothing else.
void check_wireguard(const registry::Client& client, std::string_view endpoint) {
  server::ServerFacts facts;
  facts.wireguard_public_key = client.noise_public_key;
  facts.wireguard_endpoint = endpoint;
  facts.routes = client.subnets;
  facts.mtu = 1420;
  const std::string text = server::wireguard_config(facts, client, nullptr);
  require(text.empty() == (!client.wireguard_public_key || client.addresses.empty()));
  static constexpr const char* kKeys[] = {"PrivateKey", "Address",   "DNS",
                                          "MTU",        "PublicKey", "PresharedKey",
                                          "AllowedIPs", "Endpoint",  "PersistentKeepalive"};
  std::map<std::string_view, int> seen;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = rest.find('\n');
    require(end != std::string_view::npos);
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    for (char c : line) require(c >= 0x20 && c < 0x7f);
    if (line.empty() || line[0] == '[' || line[0] == '#') continue;
    ++seen[line.substr(0, line.find(' '))];
  }
  for (const auto& [key, count] : seen) {
    bool known = false;
    for (const char* one : kKeys) known |= key == one;
    require(known && count == 1);
  }
}

registry::Client client_of(const config::ClientConfig& config) {
  registry::ClientSpec spec = server::to_spec(config);
  registry::Client out;
  static_cast<registry::ClientSettings&>(out) = spec;
  out.id = spec.id;
  out.noise_public_key = spec.noise_public_key.value_or(PublicKey{});
  out.wireguard_public_key = spec.wireguard_public_key;
  out.wireguard_preshared_key = spec.wireguard_preshared_key;
  out.revision = UINT64_MAX - spec.id.size();
  if (auto fine = registry::validate_client(spec); !fine) check_error(fine.error());
  return out;
}

void check_forms(const config::ClientConfig& config, std::string_view endpoint) {
  const registry::Client client = client_of(config);
  require(client_of(server::to_config(client)) == client);
  check_rows(client);
  check_wireguard(client, endpoint);
  auto policy = server::compile_client_policy(client.security, "/c");
  if (!policy) require(policy.error().path.starts_with("/c"));
}

void check_patch(const config::ClientConfig& present, std::string_view patch, std::string_view endpoint) {
  const auto alone = config::check_client_patch(patch);
  if (!alone) check_error(alone.error());
  auto changed = config::patch_client_config(present, patch);
  if (!changed) return check_error(changed.error());
  // What is right for one client was nothing wrong in itself, and to change nothing more changes nothing.
  require(alone.ok() && changed->id == present.id);
  check_forms(*changed, endpoint);
  auto again = config::patch_client_config(*changed, patch);
  require(again && client_of(*again) == client_of(*changed));
  auto same = config::patch_client_config(*changed, "{}");
  require(same && client_of(*same) == client_of(*changed));
}

std::string_view take_line(std::string_view& rest) {
  const size_t end = std::min(rest.find('\n'), rest.size());
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  auto client = config::parse_client_config(take_line(rest));
  if (!client) check_error(client.error());
  const std::string_view patch = take_line(rest), query_line = take_line(rest), rotate_line = take_line(rest),
                         answer_line = take_line(rest);
  if (client) {
    check_forms(*client, rest);
    check_patch(*client, patch, rest);
  } else {
    check_patch(config::ClientConfig{}, patch, rest);
  }
  if (auto query = config::parse_client_query(query_line); !query)
    check_error(query.error());
  else
    require(query->limit >= 1 && query->limit <= 1000);
  if (auto rotate = config::parse_rotate_config(rotate_line); !rotate)
    check_error(rotate.error());
  else
    require(rotate->overlap_seconds <= 2592000);
  if (auto answer = config::parse_authorize_answer(answer_line); !answer)
    check_error(answer.error());
  else
    require(answer->valid_ms <= 86400000 && answer->session_seconds <= 31536000 && answer->detail.size() <= 256);
  return 0;
}
