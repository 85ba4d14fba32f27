// JSON about clients that is no configuration: changes of one, questions about many, options of a rotation.
// Errors are as parse_client_config's, their paths inside the text at hand.
#pragma once

#include "config/server_config.hpp"

namespace smartvpn::config {

// `present` with the keys that `patch` names changed (JSON Merge Patch, RFC 7396): `null` brings a key's default
// back, a list is replaced whole. INVALID for another id, and for a missing public key.
Result<ClientConfig> patch_client_config(const ClientConfig& present, std::string_view patch);
// What is wrong with a patch in itself, whatever it is applied to.
Result<void> check_client_patch(std::string_view patch);

// Every condition that is set must hold.
struct ClientQuery {
  std::string after;     // ids behind it
  uint32_t limit = 100;  // 1..1000
  std::string id_prefix;
  std::string tag;
  std::optional<bool> enabled, online;
  std::string text;  // in id, description or a tag, without regard to the case of A-Z
};
Result<ClientQuery> parse_client_query(std::string_view json);

struct RotateConfig {
  uint32_t overlap_seconds = 86400;
  std::optional<PublicKey> noise_public_key, wireguard_public_key;  // absent: to be made
};
Result<RotateConfig> parse_rotate_config(std::string_view json);

}  // namespace smartvpn::config
