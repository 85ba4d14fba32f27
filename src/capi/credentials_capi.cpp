// Credentials (smartvpn.h, section 9): what create and rotate made, for as long as the host keeps it.
#include "capi/call.hpp"
#include "capi/credentials_object.hpp"
#include "capi/json.hpp"
#include "config/server_config.hpp"
#include "server/plan.hpp"

namespace smartvpn::capi {
namespace {

std::string text_of_key(const SecretKey& key) { return key.is_zero() ? std::string() : format_key(key.view()); }

const char* lend(const smartvpn_credentials* credentials, std::string CredentialsObject::*text) noexcept {
  return call_for_text<CredentialsObject>(credentials, nullptr,
                                          [text](CredentialsObject& object) { return (object.*text).c_str(); });
}

}  // namespace

CredentialsObject::CredentialsObject(server::NewClient&& made) {
  client = to_json(made.created.client);
  private_key = text_of_key(made.created.noise_private_key);
  wireguard_private_key = text_of_key(made.created.wireguard_private_key);
  config.swap(made.config_json);
  wireguard_config.swap(made.wireguard_conf);
}

CredentialsObject::~CredentialsObject() {
  for (std::string* text : {&client, &private_key, &config, &wireguard_private_key, &wireguard_config}) wipe(*text);
}

Result<registry::ClientSpec> parse_spec(std::string_view json) {
  auto client = config::parse_client_config(json);
  if (!client) return std::move(client).error();
  return server::to_spec(*client);
}

}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

const char* smartvpn_credentials_client(const smartvpn_credentials* credentials) {
  return lend(credentials, &CredentialsObject::client);
}

const char* smartvpn_credentials_private_key(const smartvpn_credentials* credentials) {
  return lend(credentials, &CredentialsObject::private_key);
}

const char* smartvpn_credentials_config(const smartvpn_credentials* credentials) {
  return lend(credentials, &CredentialsObject::config);
}

const char* smartvpn_credentials_wireguard_private_key(const smartvpn_credentials* credentials) {
  return lend(credentials, &CredentialsObject::wireguard_private_key);
}

const char* smartvpn_credentials_wireguard_config(const smartvpn_credentials* credentials) {
  return lend(credentials, &CredentialsObject::wireguard_config);
}

smartvpn_status smartvpn_credentials_free(smartvpn_credentials* credentials) {
  return free_handle<CredentialsObject>(credentials);
}
