// Statistics snapshots (smartvpn.h, section 10).
#include "capi/server_object.hpp"
#include "capi/stats_object.hpp"

namespace smartvpn::capi {
namespace {

// The value that `name` has in `values`, which go by Reason or Drop; nothing for an unknown name.
template <class Name, size_t N>
std::optional<uint64_t> by_name(std::string_view name, const std::array<uint64_t, N>& values, Name name_of) {
  for (size_t i = 1; i < N; ++i)
    if (name == name_of(i)) return values[i];
  return std::nullopt;
}

std::optional<uint64_t> number(const telemetry::StatsSnapshot& snapshot, std::string_view name) {
  const telemetry::ScopeStats& total = snapshot.total;
#define X(counter, type, metric, help) \
  if (name == #counter) return total.counter;
  SMARTVPN_SCOPE_COUNTER_LIST(X)
#undef X
#define X(counter, help) \
  if (name == #counter) return total.traffic.counter;
  SMARTVPN_TRAFFIC_COUNTER_LIST(X)
#undef X
  if (name == "time") return static_cast<uint64_t>(snapshot.time_ms);
  if (name == "started") return static_cast<uint64_t>(snapshot.started_ms);
  if (name == "clients") return snapshot.clients;
  if (name == "memory_bytes") return snapshot.memory_bytes;
  if (name == "memory_limit_bytes") return snapshot.memory_limit_bytes;
  if (name == "events_lost") return snapshot.events_lost;
  if (name == "callback_exceptions") return snapshot.callback_exceptions;
  if (name == "drops") return total.traffic.drops_total();
  if (name == "rejections") return total.rejections_total();
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view group = name.substr(0, dot), member = name.substr(dot + 1);
  auto reason = [](size_t i) { return reason_name(static_cast<Reason>(i)); };
  auto drop = [](size_t i) { return drop_name(static_cast<Drop>(i)); };
  if (group == "drops") return by_name(member, total.traffic.drops, drop);
  if (group == "rejections") return by_name(member, total.rejections, reason);
#define X(counter, help) \
  if (group == "wireguard" && member == #counter && snapshot.wireguard) return snapshot.wireguard->counter;
  SMARTVPN_WIREGUARD_COUNTER_LIST(X)
#undef X
  if (group == "wireguard" && member == "peers" && snapshot.wireguard) return snapshot.wireguard->peers;
  if (group == "sessions_ended") return by_name(member, total.sessions_ended, reason);
  return std::nullopt;
}

std::optional<uint64_t> number(const relay::RelaySnapshot& snapshot, std::string_view name) {
#define X(counter, type, metric, help) \
  if (name == #counter) return snapshot.total.counter;
  SMARTVPN_RELAY_COUNTER_LIST(X)
#undef X
#define X(counter, type, metric, help) \
  if (name == #counter) return snapshot.udp.counter;
  SMARTVPN_RELAY_UDP_COUNTER_LIST(X)
#undef X
  if (name == "time") return static_cast<uint64_t>(snapshot.time_ms);
  if (name == "started") return static_cast<uint64_t>(snapshot.started_ms);
  if (name == "events_lost") return snapshot.events_lost;
  if (name == "rejections") return snapshot.rejections_total();
#define X(drop, help) \
  if (name == "udp_drops." #drop) return snapshot.udp_drops.of(relay::UdpDrop::drop);
  SMARTVPN_RELAY_UDP_DROP_LIST(X)
#undef X
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  auto reason = [](size_t i) { return reason_name(static_cast<Reason>(i)); };
  if (name.substr(0, dot) == "rejections") return by_name(name.substr(dot + 1), snapshot.rejections, reason);
  if (name.substr(0, dot) == "ended") return by_name(name.substr(dot + 1), snapshot.ended, reason);
  return std::nullopt;
}

}  // namespace
}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_server_stats(smartvpn_server* server, smartvpn_stats** out, smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) { return open_stats(*object.server, out); });
}

smartvpn_status smartvpn_client_stats(smartvpn_server* server, const char* id, char* buf, size_t cap, size_t* needed,
                                      smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    if (!id) return null_argument("id");
    auto stats = object.server->client_stats(id);
    if (!stats) return std::move(stats).error();
    return put_text(stats->json(), buf, cap, needed);
  });
}

smartvpn_status smartvpn_stats_u64(const smartvpn_stats* stats, const char* name, uint64_t* value) {
  return call<StatsObject>(stats, nullptr, [&](StatsObject& object) -> Result<void> {
    if (!name || !value) return null_argument("name and value");
    auto found = std::visit([&](const auto& snapshot) { return number(snapshot, name); }, object.snapshot);
    if (!found) return make_error(Status::NOT_FOUND, "no such number");
    *value = *found;
    return {};
  });
}

smartvpn_status smartvpn_stats_json(const smartvpn_stats* stats, char* buf, size_t cap, size_t* needed,
                                    smartvpn_error** err) {
  return call<StatsObject>(stats, err, [&](StatsObject& object) {
    return put_text(std::visit([](const auto& snapshot) { return snapshot.json(); }, object.snapshot), buf, cap,
                    needed);
  });
}

smartvpn_status smartvpn_stats_prometheus(const smartvpn_stats* stats, char* buf, size_t cap, size_t* needed,
                                          smartvpn_error** err) {
  return call<StatsObject>(stats, err, [&](StatsObject& object) {
    return put_text(std::visit([](const auto& snapshot) { return snapshot.prometheus(); }, object.snapshot), buf, cap,
                    needed);
  });
}

smartvpn_status smartvpn_stats_free(smartvpn_stats* stats) { return free_handle<StatsObject>(stats); }
