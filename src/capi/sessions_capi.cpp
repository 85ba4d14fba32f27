// Live sessions (smartvpn.h, section 10).
#include <algorithm>

#include "capi/arguments.hpp"
#include "capi/call.hpp"
#include "capi/json.hpp"
#include "capi/server_object.hpp"

namespace smartvpn::capi {
namespace {

static_assert(SMARTVPN_TRANSPORT_WEBSOCKET == static_cast<int>(session::Transport::websocket));
static_assert(SMARTVPN_TRANSPORT_QUIC == static_cast<int>(session::Transport::quic));
static_assert(SMARTVPN_TRANSPORT_WIREGUARD == static_cast<int>(session::Transport::wireguard));
static_assert(SMARTVPN_HEALTH_GOOD == static_cast<int>(telemetry::Health::good));
static_assert(SMARTVPN_HEALTH_FAIR == static_cast<int>(telemetry::Health::fair));
static_assert(SMARTVPN_HEALTH_POOR == static_cast<int>(telemetry::Health::poor));
static_assert(SMARTVPN_HEALTH_DEAD == static_cast<int>(telemetry::Health::dead));

smartvpn_session_info to_struct(const server::SessionInfo& session) {
  smartvpn_session_info out{};
  out.id = session.id;
  out.since_ms = session.since_ms;
  out.last_seen_ms = session.last_seen_ms;
  out.inner_packets_in = session.counters.inner_packets_in;
  out.inner_bytes_in = session.counters.inner_bytes_in;
  out.inner_packets_out = session.counters.inner_packets_out;
  out.inner_bytes_out = session.counters.inner_bytes_out;
  out.outer_bytes_in = session.counters.outer_bytes_in;
  out.outer_bytes_out = session.counters.outer_bytes_out;
  out.packets_dropped = session.counters.drops_total();
  out.rtt_us = session.quality.rtt_us;
  out.rtt_min_us = session.quality.rtt_min_us;
  out.jitter_us = session.quality.jitter_us;
  out.loss_ppm = session.quality.loss_ppm.value_or(UINT32_MAX);
  out.listener = session.listener;
  out.transport = static_cast<smartvpn_transport>(session.transport);
  out.health = static_cast<smartvpn_health>(session.quality.health);
  return out;
}

}  // namespace
}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_session_list(smartvpn_server* server, char* buf, size_t cap, size_t* needed,
                                      smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    auto sessions = object.server->sessions();
    if (!sessions) return std::move(sessions).error();
    std::sort(sessions->begin(), sessions->end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    return put_text(to_json(*sessions), buf, cap, needed);
  });
}

smartvpn_status smartvpn_session_get(smartvpn_server* server, uint64_t session_id, char* buf, size_t cap,
                                     size_t* needed, smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    auto session = object.server->session(session_id);
    if (!session) return std::move(session).error();
    return put_text(to_json(*session), buf, cap, needed);
  });
}

smartvpn_status smartvpn_session_get_info(smartvpn_server* server, uint64_t session_id, smartvpn_session_info* info,
                                          smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    if (!info) return null_argument("info");
    const size_t size = info->struct_size;
    if (size < kFirstSize<smartvpn_session_info>) return struct_too_small("info");
    auto session = object.server->session(session_id);
    if (!session) return std::move(session).error();
    write_struct(to_struct(*session), info, size);
    return {};
  });
}

smartvpn_status smartvpn_session_disconnect(smartvpn_server* server, uint64_t session_id, smartvpn_error** err) {
  return call<ServerObject>(
      server, err, [&](ServerObject& object) { return object.server->disconnect(session_id, Reason::disconnected); });
}
