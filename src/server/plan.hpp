// A configuration made ready to run: everything that can be compiled or refused without touching the
// system is, before the first socket is opened.
#pragma once

#include <memory>
#include <vector>

#include "acl/destination_policy.hpp"
#include "acl/source_policy.hpp"
#include "acl/trusted_proxies.hpp"
#include "config/server_config.hpp"
#include "net/tls_context.hpp"
#include "registry/client.hpp"
#include "router/router.hpp"
#include "session/responder.hpp"

namespace smartvpn::server {

struct ListenerPlan {
  config::ListenConfig config;
  acl::TrustedProxies trusted;                 // trusts nobody when PROXY is off
  acl::TrustedProxies real_ip_trusted;         // trusts nobody when no HTTP header names the client
  std::shared_ptr<const net::TlsContext> tls;  // null: plain
};

struct Plan {
  config::ServerConfig config;
  std::vector<ListenerPlan> listeners;
  acl::SourcePolicy connection_policy;  // phase 1
};

// UNSUPPORTED for what this build leaves out, INVALID for lists that do not compile, SYSTEM for
// certificate files that cannot be read; each with the path.
Result<Plan> make_plan(config::ServerConfig config);

// What the configuration's keys mean to the router and to handshakes.
router::RouterOptions router_options(const config::NetworkConfig& network);
std::shared_ptr<const session::StaticKeys> static_keys(const config::KeysConfig& config);
// Our WireGuard key in the same form; null if there is none.
std::shared_ptr<const session::StaticKeys> wireguard_key(const config::KeysConfig& config);

// The registry's form of a client that the configuration declares.
registry::ClientSpec to_spec(const config::ClientConfig& client);

// The compiled lists of a client: from where it may come (phase 2), and what it may reach.
struct ClientPolicy {
  acl::SourcePolicy source;
  std::shared_ptr<const acl::DestinationPolicy> destinations;  // null: everywhere
};
// `path` is that of the client's object.
Result<ClientPolicy> compile_client_policy(const registry::ClientSecurity& security, const std::string& path);

}  // namespace smartvpn::server
