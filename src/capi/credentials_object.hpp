// What stands behind a smartvpn_credentials, and how a client's description becomes the core's.
#pragma once

#include "capi/handle_table.hpp"
#include "registry/client.hpp"
#include "server/server.hpp"

namespace smartvpn::capi {

// Texts that are not changed once given out, and wiped.
class CredentialsObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::credentials;
  explicit CredentialsObject(server::NewClient&& made);
  ~CredentialsObject() override;
  std::string client, private_key, config, wireguard_private_key, wireguard_config;
};

// A client's JSON. Without a key it asks for a key pair.
Result<registry::ClientSpec> parse_spec(std::string_view json);

}  // namespace smartvpn::capi
