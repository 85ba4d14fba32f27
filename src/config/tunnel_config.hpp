// The dialling end's configuration after every check, and the text of the one that the server hands
// to a new client: what it hands out is exactly what `parse_tunnel_config` reads.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "config/server_url.hpp"
#include "inet/address.hpp"

namespace smartvpn::config {

struct TunnelKeysConfig {
  SecretKey noise_private_key;    // this client's
  PublicKey server_public_key{};  // whom it expects
};

struct TunnelTlsConfig {
  std::string ca;  // path of a PEM file or PEM text with the roots to trust; "": the system's default store
  std::optional<std::array<uint8_t, 32>> pinned_sha256;  // of the server certificate's DER
  std::string server_name;                               // SNI and the name to verify; "": the URL's host
  bool verify = true;                                    // chain and name; a pin is checked in any case
};

struct TunnelProxyConfig {
  enum class Send : uint8_t { off, v1, v2 };
  Send send = Send::off;
  // Both or neither; neither: the socket's own addresses.
  std::optional<inet::Endpoint> source, destination;
};

struct ReconnectConfig {
  bool enabled = true;
  uint32_t initial_ms = 500;  // 10..3600000
  uint32_t max_ms = 30000;    // initial_ms..3600000
};

struct TunnelTunConfig {
  enum class Routes : uint8_t { from_server, none, listed };
  std::string name;  // "": the kernel chooses
  Routes routes = Routes::from_server;
  std::vector<inet::Cidr> listed_routes;
};

struct TunnelForwardingConfig {
  enum class Mode : uint8_t { host, tun, testing };
  Mode mode = Mode::tun;
};

struct TunnelConfig {
  ServerUrl server;
  TunnelKeysConfig keys;
  TunnelTlsConfig tls;  // meaningful with wss only
  TunnelProxyConfig proxy_protocol;
  ReconnectConfig reconnect;
  uint32_t keepalive_interval_ms = 0;  // 0: as the server says, else 1000..600000
  uint16_t mtu = 0;                    // 0: as the server says, else 576..9000; never above the server's
  TunnelTunConfig tun;
  TunnelForwardingConfig forwarding;
};

// As parse_server_config.
Result<TunnelConfig> parse_tunnel_config(std::string_view json);

// What goes into a client's configuration. `server` must be a URL that ServerUrl::parse takes.
struct TunnelConfigSpec {
  std::string server;
  // Null: the key stays an empty text (status SECRET_NOT_KEPT), for the client's owner to fill in.
  const SecretKey* noise_private_key = nullptr;
  PublicKey server_public_key{};
  std::string tls_ca;           // "": left out
  std::string tls_server_name;  // "": left out
  std::optional<std::array<uint8_t, 32>> tls_pinned_sha256;
};
// Indented JSON text, ending in a newline. Holds the private key: wipe it after use.
std::string make_tunnel_config_json(const TunnelConfigSpec& spec);

}  // namespace smartvpn::config
