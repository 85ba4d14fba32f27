// The relay (smartvpn.h, section 15).
#include "base/features.hpp"
#include "base/mutex.hpp"
#include "capi/changes_object.hpp"
#include "capi/events_object.hpp"
#include "capi/relay_json.hpp"
#include "capi/server_object.hpp"
#include "capi/stats_object.hpp"
#include "relay/relay.hpp"

namespace smartvpn::capi {
namespace {

using RelayState = relay::Relay::State;
static_assert(SMARTVPN_RELAY_CREATED == static_cast<int>(RelayState::created));
static_assert(SMARTVPN_RELAY_RUNNING == static_cast<int>(RelayState::running));
static_assert(SMARTVPN_RELAY_DRAINING == static_cast<int>(RelayState::draining));
static_assert(SMARTVPN_RELAY_STOPPED == static_cast<int>(RelayState::stopped));

class RelayObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::relay;
  RelayObject(std::unique_ptr<relay::Relay> relay, config::Document running)
      : relay(std::move(relay)), running(std::move(running)) {}
  void wake() noexcept override {
    barrier(nullptr, [&] { return relay->stop(0, 0); });
  }
  void abandon() noexcept override { relay->abandon_after_fork(); }
  const std::unique_ptr<relay::Relay> relay;
  Mutex reconfiguring;                                 // held over a whole reconfiguration
  config::Document running GUARDED_BY(reconfiguring);  // what the relay runs on
};

}  // namespace
}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_relay_create(const smartvpn_config* config, smartvpn_relay** out, smartvpn_error** err) {
  return call<ConfigObject>(config, err, [&](ConfigObject& object) -> Result<void> {
    if (!out) return null_argument("out");
    if (!SMARTVPN_WITH_RELAY) return make_error(Status::UNSUPPORTED, "this build has no relay");
    MutexLock lock(object.mutex);
    auto checked = object.document.relay_config();
    config::Document running = object.document.clone();
    lock.unlock();
    if (!checked) return std::move(checked).error();
    auto made = relay::Relay::create(*checked);
    if (!made) return std::move(made).error();
    give(out, std::make_unique<RelayObject>(std::move(*made), std::move(running)));
    return {};
  });
}

smartvpn_status smartvpn_relay_start(smartvpn_relay* relay, smartvpn_error** err) {
  return call<RelayObject>(relay, err, [](RelayObject& object) { return object.relay->start(); });
}

smartvpn_status smartvpn_relay_stop(smartvpn_relay* relay, int32_t drain_ms, int32_t timeout_ms, smartvpn_error** err) {
  return call<RelayObject>(relay, err, [&](RelayObject& object) { return object.relay->stop(drain_ms, timeout_ms); });
}

smartvpn_status smartvpn_relay_free(smartvpn_relay* relay) { return free_handle<RelayObject>(relay); }

int32_t smartvpn_relay_state(const smartvpn_relay* relay) {
  return call_for_number<RelayObject>(
      relay, [](RelayObject& object) -> Result<int32_t> { return static_cast<int32_t>(object.relay->state()); });
}

smartvpn_status smartvpn_relay_endpoints(const smartvpn_relay* relay, char* buf, size_t cap, size_t* needed,
                                         smartvpn_error** err) {
  return call<RelayObject>(
      relay, err, [&](RelayObject& object) { return put_text(to_json(object.relay->endpoints()), buf, cap, needed); });
}

smartvpn_status smartvpn_relay_reconfigure(smartvpn_relay* relay, const smartvpn_config* config, uint32_t flags,
                                           smartvpn_changes** out, smartvpn_error** err) {
  return call<RelayObject>(relay, err, [&](RelayObject& object) -> Result<void> {
    auto read = [](const config::Document& document) { return document.relay_config(); };
    auto next = read_valid(config, read);
    if (!next) return std::move(next).error();
    if ((flags & ~SMARTVPN_RECONFIGURE_DRY_RUN) != 0)
      return make_error(Status::UNSUPPORTED, "a flag that this version has not");
    if (object.relay->state() != RelayState::running) return make_error(Status::BAD_STATE, "the relay is not running");
    MutexLock lock(object.reconfiguring);
    return reconfigure(object.running, *next, flags, out, read,
                       [&](const config::RelayConfig& changed, const ToldChanges& told) {
                         return object.relay->reconfigure(changed, told);
                       });
  });
}

smartvpn_status smartvpn_relay_reload_certificates(smartvpn_relay* relay, smartvpn_error** err) {
  return call<RelayObject>(relay, err, [](RelayObject& object) {
    MutexLock lock(object.reconfiguring);  // or a path that is being changed would come back
    return object.relay->reload_certificates();
  });
}

// The server is known by its handle, and may be freed at any time.
smartvpn_status smartvpn_relay_set_server(smartvpn_relay* relay, const smartvpn_server* server, smartvpn_error** err) {
  return call<RelayObject>(relay, err, [&](RelayObject& object) -> Result<void> {
    if (!server) return object.relay->set_vpn_door({}), Result<void>();
    const uintptr_t handle = value_of(server);
    if (Reference<ServerObject> living(handle); !living) return handle_error(living.status());
    relay::VpnDoor door;
    door.client_at = [handle](const inet::IpAddress& ip) -> std::optional<relay::ClientIdentity> {
      Reference<ServerObject> living(handle);
      auto client = living ? (*living).server->client_at(ip) : std::nullopt;
      if (!client) return std::nullopt;
      return relay::ClientIdentity{std::move(client->client_id), ip, client->session_id};
    };
    door.hand_over = [handle](relay::VpnHandover&& handover) -> Result<void> {
      Reference<ServerObject> living(handle);
      if (!living) return handle_error(living.status());
      server::AdoptedConnection connection{std::move(handover.socket), {}};
      connection.client.peer = handover.peer;
      connection.client.real = handover.real;
      connection.client.vouched = handover.vouched;
      for (auto& [name, value] : handover.tlvs) connection.client.tlvs.push_back({name, value});
      connection.client.first = std::move(handover.first);
      return (*living).server->adopt(std::move(connection));
    };
    object.relay->set_vpn_door(std::move(door));
    return {};
  });
}

smartvpn_status smartvpn_relay_events_open(smartvpn_relay* relay, uint64_t type_mask, size_t capacity,
                                           smartvpn_events** out, smartvpn_error** err) {
  return call<RelayObject>(relay, err,
                           [&](RelayObject& object) { return open_events(*object.relay, type_mask, capacity, out); });
}

smartvpn_status smartvpn_relay_stats(smartvpn_relay* relay, smartvpn_stats** out, smartvpn_error** err) {
  return call<RelayObject>(relay, err, [&](RelayObject& object) { return open_stats(*object.relay, out); });
}

smartvpn_status smartvpn_relay_connections(smartvpn_relay* relay, char* buf, size_t cap, size_t* needed,
                                           smartvpn_error** err) {
  return call<RelayObject>(relay, err, [&](RelayObject& object) -> Result<void> {
    auto connections = object.relay->connections();
    if (!connections) return std::move(connections).error();
    return put_text(to_json(*connections), buf, cap, needed);
  });
}

smartvpn_status smartvpn_relay_disconnect(smartvpn_relay* relay, uint64_t connection_id, smartvpn_error** err) {
  return call<RelayObject>(relay, err, [&](RelayObject& object) { return object.relay->disconnect(connection_id); });
}
