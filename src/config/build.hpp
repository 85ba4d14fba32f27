// From an accepted tree to the plain structs, and the rules that need the whole picture. Inside
// config/ only.
#pragma once

#include "config/json_tree.hpp"
#include "config/relay_config.hpp"
#include "config/server_config.hpp"
#include "config/tunnel_config.hpp"

namespace smartvpn::config {

// The tree has passed check_structure(complete).
Result<ServerConfig> build_server_config(const Json& json);
Result<TunnelConfig> build_tunnel_config(const Json& json);
Result<RelayConfig> build_relay_config(const Json& json);
// One element of `clients`, whose tree has passed check_structure.
ClientConfig build_client_config(const Json& json);

// Contradictions between keys.
Result<void> check_server_rules(const ServerConfig& config);
// Whether datagrams could take the route: it is for them alone, or for any and there is a UDP listener that it fits.
bool takes_datagrams(const RelayConfig& config, const RelayRouteConfig& route);
// What there is for connections only, asked of what carries datagrams.
Result<void> check_relay_datagrams(const RelayConfig& config);

}  // namespace smartvpn::config
