// The server's configuration after every check: plain values, no JSON. `parse_server_config` is the
// only way in, so whoever holds a ServerConfig holds one without contradictions. What a key means
// and its default are written in the key table (`key_table.hpp`), from which the reference is made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/secret_text.hpp"
#include "inet/address.hpp"

namespace smartvpn::config {

// Numbers as in session::Transport.
enum class Transport : uint8_t { websocket = 0, quic = 1, wireguard = 2 };

struct TlsConfig {
  std::string certificate;  // path of a PEM file with the chain, or the PEM text itself
  SecretText key;           // path of a PEM file, or the PEM text itself (then a secret)
};
// True for a PEM text, false for the path of a file.
bool is_pem_text(std::string_view text) noexcept;

struct ProxyProtocolConfig {
  enum class Mode : uint8_t { off, v1, v2, any };
  enum class Local : uint8_t { close, health };
  enum class Addressless : uint8_t { accept, refuse };
  Mode mode = Mode::off;
  std::vector<std::string> trusted_proxies;  // entries for acl::AddressSet; not empty unless mode is off
  uint32_t header_timeout_ms = 5000;         // 3000..60000
  Local local = Local::close;
  Addressless addressless = Addressless::accept;
  uint32_t max_header_bytes = 4096;  // 232..65551, a whole v2 header
};

struct ListenConfig {
  Transport transport = Transport::websocket;
  inet::Endpoint address;  // "::" stands for both families; port 0: the kernel chooses
  int fd = -1;             // a listening socket of the host to duplicate; then `address` is empty
  std::string path = "/tunnel";
  std::string public_url;  // what clients dial, for their configurations; "" : made from the bound address
  std::optional<TlsConfig> tls;
  ProxyProtocolConfig proxy_protocol;
  // Lower case: "off", "x-forwarded-for", "forwarded", or the name of a header with a single address.
  std::string real_ip_header = "off";
  std::vector<std::string> real_ip_trusted_proxies;  // as trusted_proxies; not empty unless the header is off
  // session.keepalive_interval_ms where it was set, else 20000 behind proxies and 30000 elsewhere.
  uint32_t keepalive_interval_ms = 30000;
};

struct KeysConfig {
  std::optional<SecretKey> noise_private_key;  // set whenever a WebSocket listener exists
  std::optional<SecretKey> noise_next_private_key;
  std::optional<SecretKey> wireguard_private_key;  // set whenever a WireGuard listener exists
};

struct HostServices {
  bool dns = true;        // UDP and TCP port 53 at the gateway addresses
  bool icmp_echo = true;  // ping of the gateway addresses
};

struct NetworkConfig {
  std::vector<inet::Cidr> subnets;  // one or two: at most one a family, IPv4 first
  uint16_t mtu = 1420;              // 576..9000; at least 1280 with an IPv6 subnet
  std::vector<inet::IpAddress> dns;
  std::vector<inet::Cidr> routes;  // what clients send into the tunnel; the subnets if not set
  bool client_to_client = false;
  HostServices host_services;
  bool multicast = false;          // multicast and broadcast inner packets
  std::string wireguard_endpoint;  // host:port for WireGuard configurations; "": the bound address
};
// The server's own inner address in a subnet: its first host address.
inet::IpAddress gateway_of(const inet::Cidr& subnet) noexcept;

struct WireguardConfig {
  uint32_t session_timeout_s = 180;      // 180..86400
  uint32_t persistent_keepalive_s = 25;  // in clients' configurations; 0: none
  std::string uapi_socket;  // where the `wg` tool finds the server: a path, or an interface's name; "": off
};

struct PerformanceConfig {
  std::string aead = "automatic";  // a name that crypto::AeadEngine::parse_backend knows
};

struct ForwardingConfig {
  enum class Mode : uint8_t { testing, host, tun };
  Mode mode = Mode::tun;
};

struct TunConfig {
  std::string name;  // interface name, at most 15 bytes; "": the kernel chooses
  int fd = -1;       // a tun device of the host to duplicate; then `name` is empty
  bool masquerade = false;
  std::string masquerade_interface;  // only what leaves there; "": wherever it leaves
};

struct SecurityConfig {
  std::vector<std::string> connection_ip_block_list;  // entries for acl::AddressSet
  uint32_t max_connections_per_ip = 100;
  uint32_t new_connections_per_ip_per_minute = 300;
  uint32_t max_handshakes_in_progress = 1000;
  uint32_t upgrade_timeout_ms = 10000;  // upgrade plus handshake
  bool authorize = false;               // the host is asked before a session begins
  uint32_t authorize_timeout_ms = 5000;
};

struct RegistryConfig {
  enum class Store : uint8_t { memory, sqlite };
  Store store = Store::memory;
  std::string path;  // of the sqlite file; not empty with that store
  bool keep_private_keys = false;
};

struct LimitsConfig {
  uint32_t threads = 1;
  uint64_t memory_bytes = 0;  // 0: no limit
  uint32_t sessions = 0;      // 0: no limit
  uint32_t event_queue = 4096;
};

struct TelemetryConfig {
  bool client_label = false;  // series by client in Prometheus texts
};

// Of one client; 0: no limit. A burst of 0 stands for a quarter of a second's worth.
struct RateLimitConfig {
  uint64_t from_client_bytes_per_second = 0;
  uint64_t from_client_burst_bytes = 0;
  uint64_t to_client_bytes_per_second = 0;
  uint64_t to_client_burst_bytes = 0;
  friend bool operator==(const RateLimitConfig&, const RateLimitConfig&) = default;
};

struct ClientSecurityConfig {
  std::vector<std::string> ip_allow_list;  // empty: any address
  std::vector<std::string> ip_block_list;
  std::vector<std::string> destination_allow_list;  // empty: anywhere
  std::vector<std::string> destination_block_list;
  RateLimitConfig rate_limit;
};

enum class SessionPolicy : uint8_t { drop_oldest, refuse_new };

struct ClientConfig {
  std::string id;
  PublicKey noise_public_key{};  // zero: none was given
  bool enabled = true;
  std::optional<int64_t> expires_at_ms;    // wall clock, ms since 1970
  std::vector<inet::IpAddress> addresses;  // fixed, at most one a family, inside network.subnets; empty: leased
  std::optional<PublicKey> wireguard_public_key;
  std::optional<SecretKey> wireguard_preshared_key;
  std::vector<inet::Cidr> subnets;  // behind the client
  bool allow_overlap = false;
  std::vector<Transport> transports;                          // empty: any
  uint32_t max_sessions = 1;                                  // more than 1 only with leased addresses
  SessionPolicy session_policy = SessionPolicy::drop_oldest;  // when it has max_sessions already
  uint32_t priority = 100;                                    // lower is more important
  std::string description;
  std::vector<std::string> tags;
  ClientSecurityConfig security;
};

struct ServerConfig {
  std::vector<ListenConfig> listen;  // never empty
  KeysConfig keys;
  NetworkConfig network;
  WireguardConfig wireguard;
  ForwardingConfig forwarding;
  TunConfig tun;
  SecurityConfig security;
  PerformanceConfig performance;
  RegistryConfig registry;
  LimitsConfig limits;
  TelemetryConfig telemetry;
  std::vector<ClientConfig> clients;  // ids, keys and fixed addresses are unique
};

// Checks everything that can be checked without touching the system. INVALID: not JSON, an unknown
// key, a wrong type, a value out of range, a contradiction. UNSUPPORTED: a key or value that exists
// in the model but not in this build. The error's path is a JSON Pointer; its text never holds a secret.
Result<ServerConfig> parse_server_config(std::string_view json);

// One client, as in `clients`; paths of errors are relative to it. The public key may be missing, and
// is then all zero: whoever creates the client makes one.
Result<ClientConfig> parse_client_config(std::string_view json);

}  // namespace smartvpn::config
