// The relay's configuration keys; see key_table.hpp.
#include "base/features.hpp"
#include "config/key_tree.hpp"

namespace smartvpn::config {
namespace {

#if SMARTVPN_WITH_TLS
constexpr std::string_view kTerminateNotBuilt;
#else
constexpr std::string_view kTerminateNotBuilt = "terminate|terminate-and-reencrypt";
#endif
constexpr int64_t kMaxMilliseconds = 7 * 86400 * int64_t{1000};

// clang-format off
constexpr KeySpec kRelayKeys[] = {
  {.path = "/listen", .type = Type::array, .min = 1, .max = 64, .doc = "Where the relay listens; at least one entry.", .required = true, .effect = Effect::applied},
  {.path = "/listen/*", .type = Type::object, .doc = "One listener, on one port or several.", .effect = Effect::applied},
  {.path = "/listen/*/address", .type = Type::address, .fallback = "\"::\"", .doc = "IP address to bind; `::` takes both families.", .effect = Effect::applied},
  {.path = "/listen/*/port", .type = Type::integer, .min = 0, .max = 65535, .doc = "Port to bind; 0 lets the kernel choose. This or `ports` is required.", .effect = Effect::applied},
  {.path = "/listen/*/ports", .type = Type::ports, .min = 1, .max = 64, .doc = "Several ports: a list of ports and of `{\"from\": …, \"to\": …}`; at most 1024 in all.", .effect = Effect::applied},
  {.path = "/listen/*/protocol", .type = Type::choice, .fallback = "\"tcp\"", .doc = "What is relayed. `udp`: datagrams, whose PROXY headers are of version 2, one in front of each.", .values = "tcp|udp", .effect = Effect::applied},
  {.path = "/listen/*/accept_proxy_protocol", .type = Type::choice, .fallback = "\"off\"", .doc = "Which versions of PROXY headers are taken, from `trusted_proxies` only.", .values = "off|v1|v2|any", .effect = Effect::applied},
  {.path = "/listen/*/trusted_proxies", .type = Type::array, .min = 0, .max = 10000, .doc = "Who must send a header. Required unless `accept_proxy_protocol` is `off`.", .effect = Effect::applied},
  {.path = "/listen/*/trusted_proxies/*", .type = Type::acl_entry, .doc = "Address or prefix.", .effect = Effect::applied},
  {.path = "/listen/*/may_assert_identity", .type = Type::array, .min = 0, .max = 10000, .doc = "Which of them may say, in a header's TLV 0xE7, which VPN client somebody is; from all others that is taken away.", .effect = Effect::applied},
  {.path = "/listen/*/may_assert_identity/*", .type = Type::acl_entry, .doc = "Address or prefix.", .effect = Effect::applied},
  {.path = "/listen/*/untrusted", .type = Type::choice, .fallback = "\"reject\"", .doc = "Everybody else on a listener that takes headers: refused, or served as who they are. A header of theirs is refused in any case.", .values = "reject|direct", .effect = Effect::applied},
  {.path = "/listen/*/addressless", .type = Type::choice, .fallback = "\"accept\"", .doc = "A header without an address (UNKNOWN, UNSPEC, UNIX): accept without a real address, or refuse.", .values = "accept|refuse", .effect = Effect::applied},
  {.path = "/listen/*/max_header_bytes", .type = Type::integer, .min = 232, .max = 65551, .fallback = "4096", .doc = "Longest v2 header taken, TLVs included.", .effect = Effect::applied},
  {.path = "/routes", .type = Type::array, .min = 1, .max = 1024, .doc = "What happens to a connection: of the routes that match, the one with the highest `priority`, then the most specific, then the first.", .required = true, .effect = Effect::applied},
  {.path = "/routes/*", .type = Type::object, .doc = "One route.", .effect = Effect::applied},
  {.path = "/routes/*/name", .type = Type::text, .min = 1, .max = 64, .doc = "For events and statistics; unique. `route-N` if not set.", .effect = Effect::applied},
  {.path = "/routes/*/enabled", .type = Type::boolean, .fallback = "true", .doc = "Whether the route is looked at.", .effect = Effect::applied},
  {.path = "/routes/*/priority", .type = Type::integer, .min = -1000000, .max = 1000000, .fallback = "0", .doc = "Higher first.", .effect = Effect::applied},
  {.path = "/routes/*/match", .type = Type::object, .doc = "Which connections; all if empty.", .effect = Effect::applied},
  {.path = "/routes/*/match/protocol", .type = Type::choice, .doc = "What the client speaks; if not set, either. What names domains or TLS versions, or goes to a VPN server, takes no datagrams.", .values = "tcp|udp", .effect = Effect::applied},
  {.path = "/routes/*/match/ports", .type = Type::ports, .min = 1, .max = 64, .doc = "Port the client came to: a port, or a list of ports and of `{\"from\": …, \"to\": …}`.", .effect = Effect::applied},
  {.path = "/routes/*/match/domains", .type = Type::array, .min = 0, .max = 1024, .doc = "Names the client asks for: SNI of its ClientHello, or Host of its HTTP request where there is no TLS, or TLS that ends here and whose SNI no route has. A route with domains takes no connection whose name is not known.", .effect = Effect::applied},
  {.path = "/routes/*/match/domains/*", .type = Type::text, .min = 1, .max = 255, .doc = "`example.com`, `*.example.com` or `*`.", .effect = Effect::applied},
  {.path = "/routes/*/match/client_ip", .type = Type::array, .min = 0, .max = 10000, .doc = "Real addresses of clients.", .effect = Effect::applied},
  {.path = "/routes/*/match/client_ip/*", .type = Type::acl_entry, .doc = "Address, prefix, range or IPv4 wildcard.", .effect = Effect::applied},
  {.path = "/routes/*/match/tls_versions", .type = Type::array, .min = 0, .max = 4, .doc = "The newest version of TLS that the client offers.", .effect = Effect::applied},
  {.path = "/routes/*/match/tls_versions/*", .type = Type::choice, .doc = "A version.", .values = "TLSv1.0|TLSv1.1|TLSv1.2|TLSv1.3", .effect = Effect::applied},
  {.path = "/routes/*/action", .type = Type::object, .doc = "Where the connection goes.", .required = true, .effect = Effect::applied},
  {.path = "/routes/*/action/type", .type = Type::choice, .fallback = "\"forward\"", .doc = "`forward`: to a target; `vpn`: to the VPN server in this process (smartvpn_relay_set_server), without another connection.", .values = "forward|vpn", .effect = Effect::applied},
  {.path = "/routes/*/action/targets", .type = Type::array, .min = 0, .max = 64, .doc = "Where to connect. One that refuses is left out for a while, and the next is tried. Required by `forward`.", .effect = Effect::applied},
  {.path = "/routes/*/action/targets/*", .type = Type::object, .doc = "One target. It must not be a listener of this relay.", .effect = Effect::applied},
  {.path = "/routes/*/action/targets/*/host", .type = Type::text, .min = 1, .max = 253, .doc = "An IP address, or a name that is looked up for each connection.", .required = true, .effect = Effect::applied},
  {.path = "/routes/*/action/targets/*/port", .type = Type::target_port, .min = 1, .max = 65535, .doc = "Its port; `\"preserve\"`: the one the client came to.", .required = true, .effect = Effect::applied},
  {.path = "/routes/*/action/balance", .type = Type::choice, .fallback = "\"round_robin\"", .doc = "How one of several targets is chosen.", .values = "round_robin|least_connections", .effect = Effect::applied},
  {.path = "/routes/*/action/tls", .type = Type::object, .doc = "What happens to TLS.", .effect = Effect::applied},
  {.path = "/routes/*/action/tls/mode", .type = Type::choice, .fallback = "\"passthrough\"", .doc = "`passthrough`: it is not touched. `terminate`: it ends here, and the target gets what was in it. `terminate-and-reencrypt`: the target gets it by TLS of its own.", .values = "passthrough|terminate|terminate-and-reencrypt", .unsupported = kTerminateNotBuilt, .effect = Effect::applied},
  {.path = "/routes/*/action/tls/certificates", .type = Type::array, .min = 0, .max = 64, .doc = "Of those that are for the name the client asks for the first, else the first of all. Required where TLS ends here. Read again by SIGHUP and by a reconfiguration.", .effect = Effect::applied},
  {.path = "/routes/*/action/tls/certificates/*", .type = Type::object, .doc = "One certificate.", .effect = Effect::applied},
  {.path = "/routes/*/action/tls/certificates/*/certificate", .type = Type::pem, .min = 1, .max = 1 << 20, .doc = "Certificate chain: path of a PEM file, or PEM text.", .required = true, .effect = Effect::applied},
  {.path = "/routes/*/action/tls/certificates/*/key", .type = Type::pem, .min = 1, .max = 1 << 20, .doc = "Its private key: path of a PEM file, or PEM text (then a secret).", .secret = true, .required = true, .effect = Effect::applied},
  {.path = "/routes/*/action/tls/alpn", .type = Type::array, .min = 0, .max = 16, .doc = "Protocols that the target speaks, the best first, of which the client chooses one (`h2`, `http/1.1`); the one that was chosen goes on to the target.", .effect = Effect::applied},
  {.path = "/routes/*/action/tls/alpn/*", .type = Type::text, .min = 1, .max = 255, .doc = "A protocol's name.", .effect = Effect::applied},
  {.path = "/routes/*/action/tls/target", .type = Type::object, .doc = "How the target's certificate is checked; `terminate-and-reencrypt` only.", .effect = Effect::applied},
  {.path = "/routes/*/action/tls/target/ca", .type = Type::pem, .min = 1, .max = 1 << 20, .doc = "Roots to trust: path of a PEM file, or PEM text; the system's if not set.", .effect = Effect::applied},
  {.path = "/routes/*/action/tls/target/server_name", .type = Type::text, .min = 1, .max = 253, .doc = "Name to ask for and to verify; the target's host if not set.", .effect = Effect::applied},
  {.path = "/routes/*/action/tls/target/verify", .type = Type::boolean, .fallback = "true", .doc = "Whether chain and name are verified.", .effect = Effect::applied},
  {.path = "/routes/*/action/send_proxy_protocol", .type = Type::choice, .fallback = "\"off\"", .doc = "Tells the target the client's real address, in a header of this version.", .values = "off|v1|v2", .effect = Effect::applied},
  {.path = "/routes/*/action/proxy_tlvs", .type = Type::object, .doc = "What else a v2 header says.", .effect = Effect::applied},
  {.path = "/routes/*/action/proxy_tlvs/authority", .type = Type::boolean, .fallback = "true", .doc = "AUTHORITY: the name the client asked for.", .effect = Effect::applied},
  {.path = "/routes/*/action/proxy_tlvs/alpn", .type = Type::boolean, .fallback = "true", .doc = "ALPN, where a proxy before us has said it.", .effect = Effect::applied},
  {.path = "/routes/*/action/proxy_tlvs/ssl", .type = Type::boolean, .fallback = "true", .doc = "SSL: the TLS that ended at a proxy before us.", .effect = Effect::applied},
  {.path = "/routes/*/action/proxy_tlvs/unique_id", .type = Type::boolean, .fallback = "true", .doc = "UNIQUE_ID: kept along the chain, made by its first proxy.", .effect = Effect::applied},
  {.path = "/routes/*/action/proxy_tlvs/identity", .type = Type::boolean, .fallback = "true", .doc = "0xE7: which VPN client it is, where that is known: a client of the server of smartvpn_relay_set_server that comes through its tunnel, or what a proxy that `may_assert_identity` has said.", .effect = Effect::applied},
  {.path = "/routes/*/action/proxy_tlvs/crc32c", .type = Type::boolean, .fallback = "false", .doc = "CRC32C: a checksum of the header.", .effect = Effect::applied},
  {.path = "/routes/*/action/proxy_tlvs/unknown", .type = Type::boolean, .fallback = "false", .doc = "Hands on the TLVs of the header we got that have no meaning here.", .effect = Effect::applied},
  {.path = "/routes/*/action/half_open", .type = Type::boolean, .fallback = "false", .doc = "When one side has sent its last byte: false closes both, true lets the other go on for `timeouts.half_open_ms`.", .effect = Effect::applied},
  {.path = "/routes/*/max_connections", .type = Type::integer, .min = 0, .max = 1000000, .fallback = "0", .doc = "Open at a time; 0: no limit.", .effect = Effect::applied},
  {.path = "/timeouts", .type = Type::object, .doc = "How long a connection may take, in milliseconds.", .effect = Effect::applied},
  {.path = "/timeouts/proxy_header_ms", .type = Type::integer, .min = 100, .max = 60000, .fallback = "5000", .doc = "To send its PROXY header.", .effect = Effect::applied},
  {.path = "/timeouts/first_bytes_ms", .type = Type::integer, .min = 100, .max = 60000, .fallback = "10000", .doc = "To tell the name it asks for, where a route depends on it. Who has said nothing by then takes a route without domains.", .effect = Effect::applied},
  {.path = "/timeouts/connect_ms", .type = Type::integer, .min = 100, .max = 60000, .fallback = "5000", .doc = "For one target to answer, its name being looked up included.", .effect = Effect::applied},
  {.path = "/timeouts/idle_ms", .type = Type::integer, .min = 0, .max = kMaxMilliseconds, .fallback = "3600000", .doc = "Without a byte either way; 0: for ever.", .effect = Effect::applied},
  {.path = "/timeouts/udp_idle_ms", .type = Type::integer, .min = 1000, .max = 3600000, .fallback = "60000", .doc = "Without a datagram either way, of a client's datagrams, which count as a connection until then.", .effect = Effect::applied},
  {.path = "/timeouts/lifetime_ms", .type = Type::integer, .min = 0, .max = kMaxMilliseconds, .fallback = "0", .doc = "In all; 0: for ever.", .effect = Effect::applied},
  {.path = "/timeouts/half_open_ms", .type = Type::integer, .min = 100, .max = kMaxMilliseconds, .fallback = "120000", .doc = "For the other half, after one has ended.", .effect = Effect::applied},
  {.path = "/limits", .type = Type::object, .doc = "What the relay may take."},
  {.path = "/limits/threads", .type = Type::integer, .min = 1, .max = 64, .fallback = "1", .doc = "Threads that share the connections."},
  {.path = "/limits/connections", .type = Type::integer, .min = 0, .max = 1000000, .fallback = "0", .doc = "Open at a time; 0: no limit.", .effect = Effect::applied},
  {.path = "/limits/connections_per_ip", .type = Type::integer, .min = 0, .max = 1000000, .fallback = "100", .doc = "Open at a time from one real address (IPv6: /64); 0: no limit.", .effect = Effect::applied},
  {.path = "/limits/new_connections_per_ip_per_minute", .type = Type::integer, .min = 0, .max = 10000000, .fallback = "300", .doc = "From one real address (IPv6: /64); 0: no limit.", .effect = Effect::applied},
  {.path = "/limits/addresses", .type = Type::integer, .min = 16, .max = 1000000, .fallback = "10000", .doc = "Real addresses of which statistics are kept."},
  {.path = "/limits/event_queue", .type = Type::integer, .min = 16, .max = 1 << 20, .fallback = "4096", .doc = "Events a subscription holds in each lane unless it asks otherwise."},
  {.path = "/security", .type = Type::object, .doc = "Who may come, by real address.", .effect = Effect::applied},
  {.path = "/security/ip_block_list", .type = Type::array, .min = 0, .max = 100000, .fallback = "[]", .doc = "Refused, whatever else says.", .effect = Effect::applied},
  {.path = "/security/ip_block_list/*", .type = Type::acl_entry, .doc = "Address, prefix, range or IPv4 wildcard.", .effect = Effect::applied},
  {.path = "/security/ip_allow_list", .type = Type::array, .min = 0, .max = 100000, .fallback = "[]", .doc = "If not empty, nobody else may come.", .effect = Effect::applied},
  {.path = "/security/ip_allow_list/*", .type = Type::acl_entry, .doc = "Address, prefix, range or IPv4 wildcard.", .effect = Effect::applied},
};
// clang-format on

}  // namespace

std::span<const KeySpec> relay_key_table() noexcept { return kRelayKeys; }

}  // namespace smartvpn::config
