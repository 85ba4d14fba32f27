// A client in the forms that it takes on its way: of the configuration, of the registry, and as the
// configurations that its owner puts into a client program.
#pragma once

#include <optional>
#include <string>

#include "config/server_config.hpp"
#include "registry/client.hpp"
#include "server/client_change.hpp"

namespace smartvpn::server {

config::ClientConfig to_config(const registry::Client& client);

// What clients must know about this server.
struct ServerFacts {
  std::string url;  // of the first listener that they can dial; "" without one
  PublicKey noise_public_key{};
  std::optional<PublicKey> wireguard_public_key;
  std::string wireguard_endpoint;  // "": not known
  uint32_t wireguard_keepalive_s = 0;
  std::vector<inet::Cidr> routes;
  std::vector<inet::IpAddress> dns;
  uint16_t mtu = 0;
};

// A tunnel configuration. `key` null: left empty. Both texts hold secrets: wipe them after use.
std::string native_config(const ServerFacts& facts, const SecretKey* key);
// wg-quick's; "" where server or client has no WireGuard key, or the client no fixed address.
std::string wireguard_config(const ServerFacts& facts, const registry::Client& client, const SecretKey* key);
NewClient make_new_client(const ServerFacts& facts, registry::CreatedClient created);

}  // namespace smartvpn::server
