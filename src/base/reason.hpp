// The closed lists of names: why a connection was refused or a session ended (`Reason`), and why a
// packet was dropped (`Drop`). Events, counters, the C ABI and the documentation use these texts.
// Pure rooms return them; `transport/`, `forward/` and `server/` count them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace smartvpn {

#define SMARTVPN_REASON_LIST(X) \
  X(none)                       \
  X(untrusted_proxy)            \
  X(proxy_header_timeout)       \
  X(proxy_header_malformed)     \
  X(proxy_local)                \
  X(proxy_addressless)          \
  X(ip_block_list)              \
  X(too_many_connections)       \
  X(rate_limited)               \
  X(too_many_handshakes)        \
  X(too_many_sessions)          \
  X(draining)                   \
  X(tls_failed)                 \
  X(upgrade_malformed)          \
  X(upgrade_timeout)            \
  X(websocket_error)            \
  X(handshake_failed)           \
  X(handshake_timeout)          \
  X(unknown_client)             \
  X(client_disabled)            \
  X(client_expired)             \
  X(client_ip_block_list)       \
  X(client_ip_not_allowed)      \
  X(transport_not_allowed)      \
  X(no_address_left)            \
  X(authorize_denied)           \
  X(authorize_timeout)          \
  X(replaced)                   \
  X(client_removed)             \
  X(disconnected)               \
  X(peer_closed)                \
  X(peer_timeout)               \
  X(rekey_timeout)              \
  X(protocol_error)             \
  X(transport_error)            \
  X(server_stopping)            \
  X(out_of_memory)              \
  X(internal_error)             \
  X(authorize_expired)          \
  X(unexpected_proxy_header)    \
  X(no_route)                   \
  X(first_bytes_timeout)        \
  X(target_unreachable)         \
  X(relay_loop)                 \
  X(closed_by_client)           \
  X(closed_by_target)           \
  X(reset_by_client)            \
  X(reset_by_target)            \
  X(idle_timeout)               \
  X(half_open_timeout)          \
  X(lifetime_timeout)           \
  X(relay_stopping)             \
  X(handed_to_vpn)

enum class Reason : uint8_t {
#define X(name) name,
  SMARTVPN_REASON_LIST(X)
#undef X
};

#define SMARTVPN_DROP_LIST(X) \
  X(none)                     \
  X(malformed_packet)         \
  X(spoofed_source)           \
  X(neighbour_noise)          \
  X(no_route)                 \
  X(client_to_client)         \
  X(host_service)             \
  X(mapped_address)           \
  X(source_routing)           \
  X(routing_header)           \
  X(jumbogram)                \
  X(extension_headers)        \
  X(multicast)                \
  X(broadcast)                \
  X(inner_tunnel)             \
  X(bad_fragment)             \
  X(icmp_mismatch)            \
  X(destination_blocked)      \
  X(source_blocked)           \
  X(rate_limit)               \
  X(queue_full)               \
  X(too_big)                  \
  X(bad_super_packet)         \
  X(replayed)                 \
  X(decrypt_failed)           \
  X(stale_key)                \
  X(unknown_message)          \
  X(unknown_record)           \
  X(malformed_record)         \
  X(engine_full)              \
  X(engine_failed)            \
  X(engine_ignored)           \
  X(session_not_ready)

enum class Drop : uint8_t {
#define X(name) name,
  SMARTVPN_DROP_LIST(X)
#undef X
};

#define X(name) +1
constexpr size_t kReasonCount = 0 SMARTVPN_REASON_LIST(X);
constexpr size_t kDropCount = 0 SMARTVPN_DROP_LIST(X);
#undef X

const char* reason_name(Reason reason) noexcept;
const char* drop_name(Drop drop) noexcept;

}  // namespace smartvpn
