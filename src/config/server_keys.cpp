// The table of the server's configuration keys. A key that the model has but this version has not is
// listed all the same, so that it answers UNSUPPORTED and never "unknown key".
#include "base/features.hpp"
#include "config/key_table.hpp"

namespace smartvpn::config {
namespace {

constexpr int64_t kMaxExact = int64_t{1} << 53;  // what every JSON reader keeps
constexpr int64_t kMaxEntries = 1000000;         // of a list of addresses
constexpr int64_t kMaxPath = 4096;

#if SMARTVPN_WITH_WEBSOCKET && SMARTVPN_WITH_WIREGUARD
constexpr std::string_view kTransportsNotBuilt = "quic";
#elif SMARTVPN_WITH_WEBSOCKET
constexpr std::string_view kTransportsNotBuilt = "quic|wireguard";
#elif SMARTVPN_WITH_WIREGUARD
constexpr std::string_view kTransportsNotBuilt = "websocket|quic";
#else
constexpr std::string_view kTransportsNotBuilt = "websocket|quic|wireguard";
#endif
#if SMARTVPN_WITH_VECTOR_AEAD
constexpr std::string_view kAeadNotBuilt;
#else
constexpr std::string_view kAeadNotBuilt = "avx2|avx512";
#endif
#if SMARTVPN_WITH_TLS
constexpr std::string_view kTlsNotBuilt;
#else
constexpr std::string_view kTlsNotBuilt = "*";
#endif
#if SMARTVPN_WITH_SQLITE
constexpr std::string_view kStoresNotBuilt;
#else
constexpr std::string_view kStoresNotBuilt = "sqlite";
#endif
#if SMARTVPN_WITH_TUN
constexpr std::string_view kEnginesNotBuilt = "nat|bridge";
#else
constexpr std::string_view kEnginesNotBuilt = "tun|nat|bridge";
#endif

// clang-format off
constexpr KeySpec kServerKeys[] = {
  {.path = "/listen", .type = Type::array, .min = 1, .max = 64, .doc = "Where the server listens; at least one entry.", .required = true},
  {.path = "/listen/*", .type = Type::object, .doc = "One listener."},
  {.path = "/listen/*/transport", .type = Type::choice, .doc = "The carrier.", .values = "websocket|quic|wireguard", .unsupported = kTransportsNotBuilt, .required = true, .effect = Effect::listener_restart},
  {.path = "/listen/*/address", .type = Type::bind_address, .fallback = "\"::\"", .doc = "IP address to bind, alone or as `address:port`; `::` takes both families.", .effect = Effect::listener_restart},
  {.path = "/listen/*/port", .type = Type::integer, .min = 0, .max = 65535, .doc = "Port to bind; 0 lets the kernel choose. Required unless `address` holds it or `fd` is set.", .effect = Effect::listener_restart},
  {.path = "/listen/*/fd", .type = Type::integer, .min = 0, .max = INT32_MAX, .doc = "A listening socket (WireGuard: a bound UDP socket) the host has opened; it is duplicated. Excludes `address` and `port`.", .effect = Effect::listener_restart},
  {.path = "/listen/*/path", .type = Type::url_path, .min = 1, .max = 256, .fallback = "\"/tunnel\"", .doc = "HTTP path of the WebSocket upgrade.", .effect = Effect::applied},
  {.path = "/listen/*/public_url", .type = Type::url, .min = 1, .max = 1024, .doc = "What clients dial (behind a proxy or NAT); written into their configurations. WireGuard: see `/network/wireguard_endpoint`.", .effect = Effect::applied},
  {.path = "/listen/*/tls", .type = Type::object, .doc = "TLS in process; without it the listener speaks plain WebSocket.", .unsupported = kTlsNotBuilt, .effect = Effect::listener_restart},
  {.path = "/listen/*/tls/certificate", .type = Type::pem, .min = 1, .max = 1 << 20, .doc = "Certificate chain: path of a PEM file, or PEM text.", .required = true, .effect = Effect::applied},
  {.path = "/listen/*/tls/key", .type = Type::pem, .min = 1, .max = 1 << 20, .doc = "Its private key: path of a PEM file, or PEM text (then a secret).", .secret = true, .required = true, .effect = Effect::applied},
  {.path = "/listen/*/proxy_protocol", .type = Type::object, .doc = "PROXY protocol in front of the connection. Either every connection has a header or none. WireGuard: v2 in front of every datagram."},
  {.path = "/listen/*/proxy_protocol/mode", .type = Type::choice, .fallback = "\"off\"", .doc = "Which versions are taken.", .values = "off|v1|v2|any", .effect = Effect::applied},
  {.path = "/listen/*/proxy_protocol/trusted_proxies", .type = Type::array, .min = 0, .max = 10000, .doc = "Who may send a header; anybody else is refused before a byte is read. Required unless the mode is `off`.", .effect = Effect::applied},
  {.path = "/listen/*/proxy_protocol/trusted_proxies/*", .type = Type::acl_entry, .doc = "Address or prefix.", .effect = Effect::applied},
  {.path = "/listen/*/proxy_protocol/header_timeout_ms", .type = Type::integer, .min = 3000, .max = 60000, .fallback = "5000", .doc = "How long a connection may take to send its header.", .effect = Effect::applied},
  {.path = "/listen/*/proxy_protocol/local", .type = Type::choice, .fallback = "\"close\"", .doc = "A LOCAL header: close, or allow `GET /healthz` only.", .values = "close|health", .effect = Effect::applied},
  {.path = "/listen/*/proxy_protocol/addressless", .type = Type::choice, .fallback = "\"accept\"", .doc = "A header without an address (UNKNOWN, UNSPEC, UNIX): accept without a real address, or refuse.", .values = "accept|refuse", .effect = Effect::applied},
  {.path = "/listen/*/proxy_protocol/max_header_bytes", .type = Type::integer, .min = 232, .max = 65551, .fallback = "4096", .doc = "Longest v2 header taken, TLVs included.", .effect = Effect::applied},
  {.path = "/listen/*/real_ip_header", .type = Type::text, .min = 1, .max = 64, .fallback = "\"off\"", .doc = "HTTP header in which a trusted HTTP proxy names the client: `off`, `x-forwarded-for`, `forwarded`, or a header with one address such as `cf-connecting-ip`.", .effect = Effect::applied},
  {.path = "/listen/*/real_ip_trusted_proxies", .type = Type::array, .min = 0, .max = 10000, .doc = "From whom that header is believed. Required unless it is `off`.", .effect = Effect::applied},
  {.path = "/listen/*/real_ip_trusted_proxies/*", .type = Type::acl_entry, .doc = "Address or prefix.", .effect = Effect::applied},

  {.path = "/keys", .type = Type::object, .doc = "The server's keys."},
  {.path = "/keys/noise_private_key", .type = Type::private_key, .doc = "X25519 private key of the native protocol, base64. Required by WebSocket listeners.", .secret = true, .effect = Effect::applied},
  {.path = "/keys/noise_next_private_key", .type = Type::private_key, .doc = "The key to change to: accepted beside the present one.", .secret = true, .effect = Effect::applied},
  {.path = "/keys/wireguard_private_key", .type = Type::private_key, .doc = "X25519 private key of WireGuard, base64. Required by WireGuard listeners. With it every new client gets a WireGuard key and configuration too. A changed one ends WireGuard's sessions: all clients need new configurations.", .secret = true, .effect = Effect::applied},

  {.path = "/network", .type = Type::object, .doc = "The network inside the tunnels."},
  {.path = "/network/subnets", .type = Type::array, .min = 1, .max = 16, .fallback = "[\"10.8.0.0/24\",\"fd00:8::/64\"]", .doc = "Inner subnets, at most one of each family (IPv4 /8 to /30, IPv6 /32 to /126). The first address of each is the server's own."},
  {.path = "/network/subnets/*", .type = Type::cidr, .doc = "A prefix without host bits."},
  {.path = "/network/mtu", .type = Type::integer, .min = 576, .max = 9000, .fallback = "1420", .doc = "Largest inner packet, bytes; at least 1280 with an IPv6 subnet."},
  {.path = "/network/dns", .type = Type::array, .min = 0, .max = 8, .fallback = "[]", .doc = "DNS servers told to clients.", .effect = Effect::applied},
  {.path = "/network/dns/*", .type = Type::address, .doc = "An IP address.", .effect = Effect::applied},
  {.path = "/network/routes", .type = Type::array, .min = 0, .max = 256, .doc = "Prefixes that clients send into the tunnel; the subnets if not set.", .effect = Effect::applied},
  {.path = "/network/routes/*", .type = Type::cidr, .doc = "A prefix without host bits; `0.0.0.0/0` and `::/0` send everything.", .effect = Effect::applied},
  {.path = "/network/client_to_client", .type = Type::boolean, .fallback = "false", .doc = "Whether clients reach each other.", .effect = Effect::applied},
  {.path = "/network/host_services", .type = Type::array, .min = 0, .max = 8, .fallback = "[\"dns\",\"icmp_echo\"]", .doc = "What clients reach on the server's own inner addresses.", .effect = Effect::applied},
  {.path = "/network/host_services/*", .type = Type::choice, .doc = "A service.", .values = "dns|icmp_echo", .effect = Effect::applied},
  {.path = "/network/multicast", .type = Type::boolean, .fallback = "false", .doc = "Whether multicast and broadcast packets pass.", .effect = Effect::applied},
  {.path = "/network/wireguard_endpoint", .type = Type::text, .min = 1, .max = 256, .doc = "`host:port` that WireGuard clients dial (behind NAT); written into their configurations. Not set: where the first WireGuard listener is bound.", .effect = Effect::applied},

  {.path = "/forwarding", .type = Type::object, .doc = "What stands behind the tunnels."},
  {.path = "/forwarding/mode", .type = Type::choice, .fallback = "\"tun\"", .doc = "`tun`: a kernel device; `host`: packets to the embedding program; `testing`: nothing but answers to ping.", .values = "testing|host|tun|nat|bridge", .unsupported = kEnginesNotBuilt},
  {.path = "/tun", .type = Type::object, .doc = "The kernel device of forwarding mode `tun`."},
  {.path = "/tun/name", .type = Type::text, .min = 0, .max = 15, .fallback = "\"\"", .doc = "Interface name; empty: the kernel chooses. An existing device of that name is used."},
  {.path = "/tun/fd", .type = Type::integer, .min = 0, .max = INT32_MAX, .doc = "A tun device (`IFF_TUN`, `IFF_NO_PI`) the host has opened; it is duplicated, made non-blocking and used as it is: state, addresses, MTU and routes are the host's business. Excludes `name`."},
  {.path = "/tun/masquerade", .type = Type::boolean, .fallback = "false", .doc = "Whether clients reach the internet by the server's own addresses: a masquerading nftables table of our own (`smartvpn_` and the device's name), removed at stop and when the process dies."},
  {.path = "/tun/masquerade_interface", .type = Type::text, .min = 0, .max = 15, .fallback = "\"\"", .doc = "Masquerade only what leaves by this interface; empty: by any."},

  {.path = "/security", .type = Type::object, .doc = "Who may connect, and how often."},
  {.path = "/security/connection_ip_block_list", .type = Type::array, .min = 0, .max = kMaxEntries, .fallback = "[]", .doc = "Real addresses refused before anything else.", .effect = Effect::applied},
  {.path = "/security/connection_ip_block_list/*", .type = Type::acl_entry, .doc = "Address, prefix, range `a-b`, or wildcard `10.0.*.*`.", .effect = Effect::applied},
  {.path = "/security/max_connections_per_ip", .type = Type::integer, .min = 1, .max = 1000000, .fallback = "100", .doc = "Open connections per real address (IPv6: per /64).", .effect = Effect::applied},
  {.path = "/security/new_connections_per_ip_per_minute", .type = Type::integer, .min = 1, .max = 1000000, .fallback = "300", .doc = "New connections per real address and minute (IPv6: per /64).", .effect = Effect::applied},
  {.path = "/security/max_handshakes_in_progress", .type = Type::integer, .min = 1, .max = 1000000, .fallback = "1000", .doc = "Connections without a session at one time.", .effect = Effect::applied},
  {.path = "/security/upgrade_timeout_ms", .type = Type::integer, .min = 1000, .max = 60000, .fallback = "10000", .doc = "How long TLS, upgrade and handshake may take together.", .effect = Effect::applied},
  {.path = "/security/authorize", .type = Type::choice, .fallback = "\"off\"", .doc = "Whether the embedding program is asked before a session begins.", .values = "off|required"},
  {.path = "/security/authorize_timeout_ms", .type = Type::integer, .min = 100, .max = 60000, .fallback = "5000", .doc = "How long it may take to answer.", .effect = Effect::applied},

  {.path = "/session", .type = Type::object, .doc = "Sessions of the native protocol."},
  {.path = "/session/keepalive_interval_ms", .type = Type::integer, .min = 1000, .max = 600000, .doc = "Silence after which a ping goes out. Not set: 20000 on listeners behind proxies, 30000 on others.", .effect = Effect::applied},

  {.path = "/wireguard", .type = Type::object, .doc = "Sessions of WireGuard clients."},
  {.path = "/wireguard/session_timeout_s", .type = Type::integer, .min = 180, .max = 86400, .fallback = "180", .doc = "After how long without a completed handshake a session is over. An idle client's is, and begins anew with its next packet."},
  {.path = "/wireguard/persistent_keepalive_s", .type = Type::integer, .min = 0, .max = 65535, .fallback = "25", .doc = "`PersistentKeepalive` of the configurations that clients get, so that NATs on their way keep it open; 0: none.", .effect = Effect::applied},
  {.path = "/wireguard/uapi_socket", .type = Type::text, .min = 0, .max = 107, .fallback = "\"\"", .doc = "A socket, its owner's alone, by which the stock `wg` tool shows and changes WireGuard clients: a path, or an interface name for `/var/run/wireguard/NAME.sock`, where `wg` looks. Empty: none. It needs a WireGuard listener."},

  {.path = "/performance", .type = Type::object, .doc = "How the work is done."},
  {.path = "/performance/aead", .type = Type::choice, .fallback = "\"automatic\"", .doc = "What encrypts packets. `automatic`: the fastest that the processor has. `avx2` and `avx512` answer `UNSUPPORTED` on a processor without them.", .values = "automatic|openssl|sodium|avx2|avx512", .unsupported = kAeadNotBuilt},

  {.path = "/registry", .type = Type::object, .doc = "Where registered clients are kept."},
  {.path = "/registry/store", .type = Type::choice, .fallback = "\"memory\"", .doc = "`memory`: gone when the server stops; `sqlite`: a file.", .values = "memory|sqlite", .unsupported = kStoresNotBuilt},
  {.path = "/registry/path", .type = Type::text, .min = 1, .max = kMaxPath, .doc = "File of the sqlite store; made if it is missing. Required by it."},
  {.path = "/registry/keep_private_keys", .type = Type::boolean, .fallback = "false", .doc = "Whether generated private keys can be exported again later."},

  {.path = "/limits", .type = Type::object, .doc = "What the server may take."},
  {.path = "/limits/threads", .type = Type::integer, .min = 1, .max = 64, .fallback = "1", .doc = "Data threads: shards that share the clients."},
  {.path = "/limits/memory_bytes", .type = Type::integer, .min = 0, .max = kMaxExact, .fallback = "0", .doc = "Ceiling for packet buffers, queues, connections, sessions and waiting events together; 0: none. There packets are dropped (`queue_full`) and new connections refused (`out_of_memory`); connections that are no sessions yet get half of it at most.", .effect = Effect::applied},
  {.path = "/limits/sessions", .type = Type::integer, .min = 0, .max = 1000000, .fallback = "0", .doc = "Ceiling for live sessions; 0: none.", .effect = Effect::applied},
  {.path = "/limits/event_queue", .type = Type::integer, .min = 16, .max = 1 << 20, .fallback = "4096", .doc = "Events a subscription holds in each lane unless it asks otherwise."},

  {.path = "/telemetry", .type = Type::object, .doc = "What is told about clients."},
  {.path = "/telemetry/client_label", .type = Type::boolean, .fallback = "false", .doc = "Whether Prometheus texts have series by client.", .effect = Effect::applied},

  {.path = "/clients", .type = Type::array, .min = 0, .max = 1000000, .fallback = "[]", .doc = "Clients created at start if they are missing; existing ones are never changed.", .effect = Effect::applied},
  {.path = "/clients/*", .type = Type::object, .doc = "One client.", .effect = Effect::applied},
  {.path = "/clients/*/id", .type = Type::text, .min = 1, .max = 128, .doc = "The host's name for it; unique.", .required = true, .effect = Effect::applied},
  {.path = "/clients/*/noise_public_key", .type = Type::public_key, .doc = "Its X25519 public key, base64; unique. Required unless `wireguard_public_key` is there: without, it speaks WireGuard only.", .effect = Effect::applied},
  {.path = "/clients/*/enabled", .type = Type::boolean, .fallback = "true", .doc = "Whether it may connect.", .effect = Effect::applied},
  {.path = "/clients/*/expires_at", .type = Type::time, .min = 0, .max = kMaxExact, .doc = "After this it may not connect: RFC 3339 text, or milliseconds since 1970.", .effect = Effect::applied},
  {.path = "/clients/*/addresses", .type = Type::array, .min = 0, .max = 8, .fallback = "[]", .doc = "Fixed inner addresses, at most one a family; empty: leased from the subnets.", .effect = Effect::applied},
  {.path = "/clients/*/addresses/*", .type = Type::address, .doc = "An IP address inside `network.subnets`.", .effect = Effect::applied},
  {.path = "/clients/*/max_sessions", .type = Type::integer, .min = 1, .max = 1000, .fallback = "1", .doc = "Sessions at one time; more than 1 needs leased addresses.", .effect = Effect::applied},
  {.path = "/clients/*/description", .type = Type::text, .min = 0, .max = 1024, .fallback = "\"\"", .doc = "For people.", .effect = Effect::applied},
  {.path = "/clients/*/tags", .type = Type::array, .min = 0, .max = 64, .fallback = "[]", .doc = "For programs.", .effect = Effect::applied},
  {.path = "/clients/*/tags/*", .type = Type::text, .min = 1, .max = 128, .doc = "A tag.", .effect = Effect::applied},
  {.path = "/clients/*/security", .type = Type::object, .doc = "From where it may connect, what it may reach, and how fast.", .effect = Effect::applied},
  {.path = "/clients/*/security/ip_allow_list", .type = Type::array, .min = 0, .max = kMaxEntries, .fallback = "[]", .doc = "Real addresses it may come from; empty: any.", .effect = Effect::applied},
  {.path = "/clients/*/security/ip_allow_list/*", .type = Type::acl_entry, .doc = "Address, prefix, range `a-b`, or wildcard `10.0.*.*`.", .effect = Effect::applied},
  {.path = "/clients/*/security/ip_block_list", .type = Type::array, .min = 0, .max = kMaxEntries, .fallback = "[]", .doc = "Real addresses it may not come from; goes before the allow list.", .effect = Effect::applied},
  {.path = "/clients/*/security/ip_block_list/*", .type = Type::acl_entry, .doc = "Address, prefix, range `a-b`, or wildcard `10.0.*.*`.", .effect = Effect::applied},
  {.path = "/clients/*/security/destination_allow_list", .type = Type::array, .min = 0, .max = kMaxEntries, .fallback = "[]", .doc = "Inner addresses it may reach, and be reached from; empty: any. The services of `network.host_services` stay reachable whatever the lists say.", .effect = Effect::applied},
  {.path = "/clients/*/security/destination_allow_list/*", .type = Type::acl_entry, .doc = "Address, prefix, range `a-b`, or wildcard `10.0.*.*`.", .effect = Effect::applied},
  {.path = "/clients/*/security/destination_block_list", .type = Type::array, .min = 0, .max = kMaxEntries, .fallback = "[]", .doc = "Inner addresses it may not reach, nor be reached from; goes before the allow list.", .effect = Effect::applied},
  {.path = "/clients/*/security/destination_block_list/*", .type = Type::acl_entry, .doc = "Address, prefix, range `a-b`, or wildcard `10.0.*.*`.", .effect = Effect::applied},
  {.path = "/clients/*/security/rate_limit", .type = Type::object, .doc = "Bytes of inner packets a second, over all its sessions; 0: no limit.", .effect = Effect::applied},
  {.path = "/clients/*/security/rate_limit/from_client_bytes_per_second", .type = Type::integer, .min = 0, .max = kMaxExact, .fallback = "0", .doc = "What it may send.", .effect = Effect::applied},
  {.path = "/clients/*/security/rate_limit/from_client_burst_bytes", .type = Type::integer, .min = 0, .max = kMaxExact, .fallback = "0", .doc = "What of it may come at once; 0: a quarter of a second's worth, at least 64 KiB.", .effect = Effect::applied},
  {.path = "/clients/*/security/rate_limit/to_client_bytes_per_second", .type = Type::integer, .min = 0, .max = kMaxExact, .fallback = "0", .doc = "What it may receive.", .effect = Effect::applied},
  {.path = "/clients/*/security/rate_limit/to_client_burst_bytes", .type = Type::integer, .min = 0, .max = kMaxExact, .fallback = "0", .doc = "What of it may come at once; 0: a quarter of a second's worth, at least 64 KiB.", .effect = Effect::applied},
  {.path = "/clients/*/wireguard_public_key", .type = Type::public_key, .doc = "Its WireGuard key; unique.", .effect = Effect::applied},
  {.path = "/clients/*/wireguard_preshared_key", .type = Type::private_key, .doc = "Its WireGuard preshared key.", .secret = true, .effect = Effect::applied},
  {.path = "/clients/*/subnets", .type = Type::array, .min = 0, .max = 256, .fallback = "[]", .doc = "Networks behind it, which the server routes to it. Not a default route.", .effect = Effect::applied},
  {.path = "/clients/*/subnets/*", .type = Type::cidr, .doc = "A prefix without host bits.", .effect = Effect::applied},
  {.path = "/clients/*/allow_overlap", .type = Type::boolean, .fallback = "false", .doc = "Whether those may overlap the pool or what others have, and be a default route; the most specific one wins.", .effect = Effect::applied},
  {.path = "/clients/*/transports", .type = Type::array, .min = 0, .max = 8, .fallback = "[]", .doc = "Carriers it may use; empty: any.", .effect = Effect::applied},
  {.path = "/clients/*/transports/*", .type = Type::choice, .doc = "A carrier.", .values = "websocket|quic|wireguard", .effect = Effect::applied},
  {.path = "/clients/*/session_policy", .type = Type::choice, .fallback = "\"drop-oldest\"", .doc = "What happens to a further session than `max_sessions`.", .values = "drop-oldest|refuse-new", .effect = Effect::applied},
  {.path = "/clients/*/priority", .type = Type::integer, .min = 0, .max = 65535, .fallback = "100", .doc = "Lower is more important: once 90 % of `limits.memory_bytes` is taken, new sessions of clients above 100 are refused.", .effect = Effect::applied},
};
// clang-format on

}  // namespace

std::span<const KeySpec> server_key_table() noexcept { return kServerKeys; }

}  // namespace smartvpn::config
