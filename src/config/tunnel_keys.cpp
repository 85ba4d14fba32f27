// The table of the dialling end's configuration keys.
#include "base/features.hpp"
#include "config/key_table.hpp"

namespace smartvpn::config {
namespace {

#if SMARTVPN_WITH_TLS
constexpr std::string_view kTunnelTlsNotBuilt;
#else
constexpr std::string_view kTunnelTlsNotBuilt = "*";
#endif
#if SMARTVPN_WITH_TUN
constexpr std::string_view kTunnelEnginesNotBuilt;
#else
constexpr std::string_view kTunnelEnginesNotBuilt = "tun";
#endif

// clang-format off
constexpr KeySpec kTunnelKeys[] = {
  {.path = "/server", .type = Type::url, .min = 1, .max = 1024, .doc = "`wss://host:port/path` or `ws://…`; a name, an IPv4 address or a bracketed IPv6 address. Ports default to 443 and 80, the path to `/tunnel`.", .required = true},
  {.path = "/keys", .type = Type::object, .doc = "Who we are and whom we expect.", .required = true},
  {.path = "/keys/noise_private_key", .type = Type::private_key, .doc = "This client's X25519 private key, base64.", .secret = true, .required = true},
  {.path = "/keys/server_public_key", .type = Type::public_key, .doc = "The server's X25519 public key, base64.", .required = true},
  {.path = "/tls", .type = Type::object, .doc = "How the server's certificate is checked; `wss` only. The tunnel itself trusts only `keys.server_public_key`.", .unsupported = kTunnelTlsNotBuilt},
  {.path = "/tls/ca", .type = Type::pem, .min = 1, .max = 1 << 20, .doc = "Roots to trust: path of a PEM file, or PEM text. Required unless a pin is set or `verify` is false."},
  {.path = "/tls/pinned_sha256", .type = Type::sha256, .doc = "SHA-256 of the server certificate (DER), hexadecimal. Without `ca` the pin alone decides."},
  {.path = "/tls/server_name", .type = Type::text, .min = 1, .max = 253, .doc = "Name to send and to verify; the URL's host if not set."},
  {.path = "/tls/verify", .type = Type::boolean, .fallback = "true", .doc = "Whether chain and name are verified."},
  {.path = "/proxy_protocol", .type = Type::object, .doc = "Sends a PROXY header first, for servers that expect one and tests with no proxy between."},
  {.path = "/proxy_protocol/send", .type = Type::choice, .fallback = "\"off\"", .doc = "Which version.", .values = "off|v1|v2"},
  {.path = "/proxy_protocol/source", .type = Type::endpoint, .doc = "Client address to claim; the socket's own if not set."},
  {.path = "/proxy_protocol/destination", .type = Type::endpoint, .doc = "Server address to claim; set with `source` only."},
  {.path = "/reconnect", .type = Type::object, .doc = "What happens when the connection is lost."},
  {.path = "/reconnect/enabled", .type = Type::boolean, .fallback = "true", .doc = "Whether to dial again."},
  {.path = "/reconnect/initial_ms", .type = Type::integer, .min = 10, .max = 3600000, .fallback = "500", .doc = "First pause; it doubles with every failure."},
  {.path = "/reconnect/max_ms", .type = Type::integer, .min = 10, .max = 3600000, .fallback = "30000", .doc = "Longest pause."},
  {.path = "/keepalive_interval_ms", .type = Type::integer, .min = 1000, .max = 600000, .doc = "Silence after which a ping goes out; as the server says if not set."},
  {.path = "/mtu", .type = Type::integer, .min = 576, .max = 9000, .doc = "Largest inner packet wanted; as the server says if not set."},
  {.path = "/tun", .type = Type::object, .doc = "The kernel device of forwarding mode `tun`."},
  {.path = "/tun/name", .type = Type::text, .min = 0, .max = 15, .fallback = "\"\"", .doc = "Interface name; empty: the kernel chooses."},
  {.path = "/tun/routes", .type = Type::routes, .min = 0, .max = 256, .fallback = "true", .doc = "`true`: the routes the server gives; `false`: none; a list: exactly these."},
  {.path = "/forwarding", .type = Type::object, .doc = "What stands behind the tunnel."},
  {.path = "/forwarding/mode", .type = Type::choice, .fallback = "\"tun\"", .doc = "`tun`: a kernel device; `host`: packets to the embedding program; `testing`: nothing but answers to ping.", .values = "host|tun|testing", .unsupported = kTunnelEnginesNotBuilt},
};
// clang-format on

}  // namespace

std::span<const KeySpec> tunnel_key_table() noexcept { return kTunnelKeys; }

}  // namespace smartvpn::config
