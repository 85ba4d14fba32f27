// The relay's configuration after every check: where it listens, and by which routes connections leave.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "inet/address.hpp"

namespace smartvpn::config {

// Both ends in it.
struct PortRange {
  uint16_t from = 0, to = 0;
  bool contains(uint16_t port) const noexcept { return port >= from && port <= to; }
  friend bool operator==(const PortRange&, const PortRange&) = default;
};

enum class RelayProtocol : uint8_t { tcp, udp };
constexpr const char* relay_protocol_name(RelayProtocol protocol) noexcept {
  return protocol == RelayProtocol::udp ? "udp" : "tcp";
}

struct RelayListenConfig {
  enum class Accept : uint8_t { off, v1, v2, any };
  enum class Untrusted : uint8_t { reject, direct };
  inet::IpAddress address;       // `::` takes both families
  std::vector<PortRange> ports;  // never empty; 0 alone lets the kernel choose
  Accept accept_proxy_protocol = Accept::off;
  std::vector<std::string> trusted_proxies;      // entries for acl::TrustedProxies
  std::vector<std::string> may_assert_identity;  // likewise, of those
  Untrusted untrusted = Untrusted::reject;
  bool refuse_addressless = false;  // UNKNOWN, UNSPEC and UNIX headers
  uint32_t max_header_bytes = 4096;
  RelayProtocol protocol = RelayProtocol::tcp;
};

struct RelayMatchConfig {
  std::vector<PortRange> ports;           // empty: every port of the relay
  std::vector<std::string> domains;       // patterns for relay::DomainPattern; empty: any connection
  std::vector<std::string> client_ip;     // entries for acl::AddressSet; empty: any
  std::vector<std::string> tls_versions;  // of the newest the client offers; empty: any, also without TLS
  std::optional<RelayProtocol> protocol;  // nothing: either
};

struct RelayTargetConfig {
  std::string host;   // a name or an IP address
  uint16_t port = 0;  // 0: the port the client came to
  friend bool operator==(const RelayTargetConfig&, const RelayTargetConfig&) = default;
};

struct RelayTlsConfig {
  enum class Mode : uint8_t { passthrough, terminate, reencrypt };
  struct Certificate {
    std::string certificate, key;  // paths of PEM files, or PEM texts
  };
  Mode mode = Mode::passthrough;
  std::vector<Certificate> certificates;  // never empty where TLS ends here
  std::vector<std::string> alpn;
  std::string target_ca;    // path or text; "": the system's roots
  std::string target_name;  // "": the target's host
  bool target_verify = true;
};

struct RelayActionConfig {
  enum class Balance : uint8_t { round_robin, least_connections };
  enum class Send : uint8_t { off, v1, v2 };
  struct Tlvs {
    bool authority = true, alpn = true, ssl = true, unique_id = true, identity = true;
    bool crc32c = false, unknown = false;
  };
  bool vpn = false;                        // to the VPN server in this process
  std::vector<RelayTargetConfig> targets;  // empty with `vpn` only
  Balance balance = Balance::round_robin;
  RelayTlsConfig tls;
  Send send_proxy_protocol = Send::off;
  Tlvs tlvs;
  bool half_open = false;
};

struct RelayRouteConfig {
  std::string name;  // unique; "route-N" where none was written
  bool enabled = true;
  int32_t priority = 0;  // higher first
  RelayMatchConfig match;
  RelayActionConfig action;
  uint32_t max_connections = 0;  // 0: no limit
};

// Milliseconds; 0 where allowed: never.
struct RelayTimeoutsConfig {
  uint32_t proxy_header_ms = 5000;
  uint32_t first_bytes_ms = 10000;
  uint32_t connect_ms = 5000;
  uint32_t idle_ms = 3600000;
  uint32_t lifetime_ms = 0;
  uint32_t half_open_ms = 120000;
  uint32_t udp_idle_ms = 60000;
};

struct RelayLimitsConfig {
  uint32_t threads = 1;
  uint32_t connections = 0;  // 0: no limit
  uint32_t connections_per_ip = 100;
  uint32_t new_connections_per_ip_per_minute = 300;
  uint32_t addresses = 10000;  // rows of the table of statistics by real address
  uint32_t event_queue = 4096;
};

struct RelaySecurityConfig {
  std::vector<std::string> ip_block_list, ip_allow_list;  // entries for acl::SourcePolicy
};

struct RelayConfig {
  std::vector<RelayListenConfig> listen;  // never empty
  std::vector<RelayRouteConfig> routes;   // in the order they were written
  RelayTimeoutsConfig timeouts;
  RelayLimitsConfig limits;
  RelaySecurityConfig security;
};

// As parse_server_config.
Result<RelayConfig> parse_relay_config(std::string_view json);

}  // namespace smartvpn::config
