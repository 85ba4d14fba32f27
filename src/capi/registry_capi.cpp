// The registry (smartvpn.h, section 9).
#include "capi/arguments.hpp"
#include "capi/call.hpp"
#include "capi/json.hpp"
#include "capi/server_object.hpp"
#include "server/plan.hpp"

namespace smartvpn::capi {
namespace {

class CredentialsObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::credentials;
  CredentialsObject() = default;
  ~CredentialsObject() override {
    wipe(client);
    wipe(private_key);
    wipe(config);
  }
  std::string client, private_key, config;  // not changed once given out
};

// A client's JSON without a key asks for a key pair.
Result<registry::ClientSpec> parse_spec(std::string_view json) {
  auto client = config::parse_client_config(json);
  if (!client) return std::move(client).error();
  registry::ClientSpec spec = server::to_spec(*client);
  if (client->noise_public_key == PublicKey{}) spec.noise_public_key.reset();
  return spec;
}

smartvpn_status set_enabled(smartvpn_server* server, const char* id, bool enabled, smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    if (!id) return null_argument("id");
    return object.server->client_set_enabled(id, enabled);
  });
}

}  // namespace
}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_client_create(smartvpn_server* server, const char* json, size_t json_len,
                                       smartvpn_credentials** out, smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    if (!out) return null_argument("out");
    auto text = json_argument(json, json_len);
    if (!text) return std::move(text).error();
    auto spec = parse_spec(*text);
    if (!spec) return std::move(spec).error();
    auto credentials = std::make_unique<CredentialsObject>();
    auto made = object.server->client_create(*spec);
    if (!made) return std::move(made).error();
    credentials->client = to_json(made->created.client);
    const SecretKey& key = made->created.noise_private_key;
    if (!key.is_zero()) credentials->private_key = format_key(key.view());
    credentials->config.swap(made->config_json);
    give(out, std::move(credentials));
    return {};
  });
}

const char* smartvpn_credentials_client(const smartvpn_credentials* credentials) {
  return call_for_text<CredentialsObject>(credentials, nullptr,
                                          [](CredentialsObject& object) { return object.client.c_str(); });
}

const char* smartvpn_credentials_private_key(const smartvpn_credentials* credentials) {
  return call_for_text<CredentialsObject>(credentials, nullptr,
                                          [](CredentialsObject& object) { return object.private_key.c_str(); });
}

const char* smartvpn_credentials_config(const smartvpn_credentials* credentials) {
  return call_for_text<CredentialsObject>(credentials, nullptr,
                                          [](CredentialsObject& object) { return object.config.c_str(); });
}

smartvpn_status smartvpn_credentials_free(smartvpn_credentials* credentials) {
  return free_handle<CredentialsObject>(credentials);
}

smartvpn_status smartvpn_client_get(smartvpn_server* server, const char* id, char* buf, size_t cap, size_t* needed,
                                    smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    if (!id) return null_argument("id");
    auto client = object.server->client_get(id);
    if (!client) return std::move(client).error();
    return put_text(to_json(*client), buf, cap, needed);
  });
}

smartvpn_status smartvpn_client_list(smartvpn_server* server, char* buf, size_t cap, size_t* needed,
                                     smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    auto clients = object.server->client_list();
    if (!clients) return std::move(clients).error();
    return put_text(to_json(*clients), buf, cap, needed);
  });
}

smartvpn_status smartvpn_client_enable(smartvpn_server* server, const char* id, smartvpn_error** err) {
  return set_enabled(server, id, true, err);
}

smartvpn_status smartvpn_client_disable(smartvpn_server* server, const char* id, smartvpn_error** err) {
  return set_enabled(server, id, false, err);
}

smartvpn_status smartvpn_client_remove(smartvpn_server* server, const char* id, smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    if (!id) return null_argument("id");
    return object.server->client_remove(id);
  });
}
