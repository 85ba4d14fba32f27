// The dialling end (smartvpn.h, section 12).
#include "base/features.hpp"
#include "capi/arguments.hpp"
#include "capi/call.hpp"
#include "capi/config_object.hpp"
#include "capi/events_object.hpp"
#include "capi/json.hpp"
#include "capi/packets.hpp"
#include "capi/stats_object.hpp"
#include "tunnel/tunnel.hpp"

namespace smartvpn::capi {
namespace {

static_assert(SMARTVPN_TUNNEL_CREATED == static_cast<int>(tunnel::State::created));
static_assert(SMARTVPN_TUNNEL_CONNECTING == static_cast<int>(tunnel::State::connecting));
static_assert(SMARTVPN_TUNNEL_CONNECTED == static_cast<int>(tunnel::State::connected));
static_assert(SMARTVPN_TUNNEL_WAITING == static_cast<int>(tunnel::State::waiting));
static_assert(SMARTVPN_TUNNEL_STOPPED == static_cast<int>(tunnel::State::stopped));

class TunnelObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::tunnel;
  explicit TunnelObject(std::unique_ptr<tunnel::Tunnel> tunnel) : tunnel(std::move(tunnel)) {}
  // Whoever waits in a call comes back; the destructor waits for the end.
  void wake() noexcept override {
    barrier(nullptr, [&] { return tunnel->stop(0); });
  }
  void abandon() noexcept override { tunnel->abandon_after_fork(); }
  const std::unique_ptr<tunnel::Tunnel> tunnel;
};

}  // namespace
}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_tunnel_create(const smartvpn_config* config, smartvpn_tunnel** out, smartvpn_error** err) {
  return call<ConfigObject>(config, err, [&](ConfigObject& object) -> Result<void> {
    if (!out) return null_argument("out");
    if (!SMARTVPN_WITH_TUNNEL) return make_error(Status::UNSUPPORTED, "this build has no tunnels");
    MutexLock lock(object.mutex);
    auto checked = object.document.tunnel_config();
    lock.unlock();
    if (!checked) return std::move(checked).error();
    auto made = tunnel::Tunnel::create(std::move(*checked));
    if (!made) return std::move(made).error();
    give(out, std::make_unique<TunnelObject>(std::move(*made)));
    return {};
  });
}

smartvpn_status smartvpn_tunnel_start(smartvpn_tunnel* tunnel, smartvpn_error** err) {
  return call<TunnelObject>(tunnel, err, [](TunnelObject& object) { return object.tunnel->start(); });
}

smartvpn_status smartvpn_tunnel_wait_connected(smartvpn_tunnel* tunnel, int32_t timeout_ms, smartvpn_error** err) {
  return call<TunnelObject>(tunnel, err,
                            [&](TunnelObject& object) { return object.tunnel->wait_connected(timeout_ms); });
}

smartvpn_status smartvpn_tunnel_stop(smartvpn_tunnel* tunnel, int32_t timeout_ms, smartvpn_error** err) {
  return call<TunnelObject>(tunnel, err, [&](TunnelObject& object) { return object.tunnel->stop(timeout_ms); });
}

smartvpn_status smartvpn_tunnel_free(smartvpn_tunnel* tunnel) { return free_handle<TunnelObject>(tunnel); }

int32_t smartvpn_tunnel_state(const smartvpn_tunnel* tunnel) {
  return call_for_number<TunnelObject>(
      tunnel, [](TunnelObject& object) -> Result<int32_t> { return static_cast<int32_t>(object.tunnel->state()); });
}

smartvpn_status smartvpn_tunnel_info(const smartvpn_tunnel* tunnel, char* buf, size_t cap, size_t* needed,
                                     smartvpn_error** err) {
  return call<TunnelObject>(
      tunnel, err, [&](TunnelObject& object) { return put_text(to_json(object.tunnel->info()), buf, cap, needed); });
}

smartvpn_status smartvpn_tunnel_events_open(smartvpn_tunnel* tunnel, uint64_t type_mask, size_t capacity,
                                            smartvpn_events** out, smartvpn_error** err) {
  return call<TunnelObject>(
      tunnel, err, [&](TunnelObject& object) { return open_events(*object.tunnel, type_mask, capacity, out); });
}

smartvpn_status smartvpn_tunnel_stats(smartvpn_tunnel* tunnel, smartvpn_stats** out, smartvpn_error** err) {
  return call<TunnelObject>(tunnel, err, [&](TunnelObject& object) { return open_stats(*object.tunnel, out); });
}

smartvpn_status smartvpn_tunnel_packets_read(smartvpn_tunnel* tunnel, uint8_t* arena, size_t arena_len,
                                             smartvpn_packet* meta, size_t meta_stride, size_t max, size_t* count,
                                             int32_t timeout_ms, smartvpn_error** err) {
  return call<TunnelObject>(tunnel, err, [&](TunnelObject& object) {
    return read_packets(*object.tunnel, arena, arena_len, meta, meta_stride, max, count, timeout_ms);
  });
}

smartvpn_status smartvpn_tunnel_packets_write(smartvpn_tunnel* tunnel, const uint8_t* arena, size_t arena_len,
                                              const smartvpn_packet* meta, size_t meta_stride, size_t count,
                                              size_t* taken, smartvpn_error** err) {
  return call<TunnelObject>(tunnel, err, [&](TunnelObject& object) {
    return write_packets(*object.tunnel, arena, arena_len, meta, meta_stride, count, taken);
  });
}

int32_t smartvpn_tunnel_packets_fd(const smartvpn_tunnel* tunnel) {
  return call_for_number<TunnelObject>(
      tunnel, [](TunnelObject& object) -> Result<int32_t> { return object.tunnel->packets_fd(); });
}
