// `smartvpn connect`: the dialling end, which comes back after every loss until a signal ends it or
// the server has refused for good.
#include <nlohmann/json.hpp>
#include <optional>

#include "c_api.hpp"
#include "commands.hpp"
#include "config_file.hpp"
#include "event_loop.hpp"

namespace smartvpn::cli {
namespace {

constexpr size_t kEventQueue = 4096;

class ConnectHost final : public LoopHost {
 public:
  explicit ConnectHost(smartvpn_tunnel* tunnel) : tunnel_(tunnel) {}

  void on_event(const smartvpn_event* event) override {
    int32_t type = smartvpn_event_type(event);
    if (type == SMARTVPN_EVENT_SESSION_DOWN || type == SMARTVPN_EVENT_LOG) look_for_refusal();
  }
  void begin_stop() override { (void)smartvpn_tunnel_stop(tunnel_, 0, nullptr); }
  void stop_now() override { begin_stop(); }
  void on_hangup() override { begin_stop(); }
  const std::optional<Failure>& refusal() const { return refusal_; }

 private:
  // No further attempt is made: nothing is left to wait for.
  void look_for_refusal() {
    smartvpn_error* raw = nullptr;
    smartvpn_status status = smartvpn_tunnel_wait_connected(tunnel_, 0, &raw);
    ApiError error(raw);
    if (status != SMARTVPN_REFUSED || refusal_) return;
    refusal_ = failure_of(status, error.get());
    begin_stop();
  }

  smartvpn_tunnel* tunnel_;
  std::optional<Failure> refusal_;
};

}  // namespace

int run_connect(const ConnectOptions& options) {
  LoadedConfig loaded = load_config(options.config, Kind::tunnel);
  if (!options.tun.empty()) {
    std::string json = nlohmann::json(options.tun).dump();
    call([&](smartvpn_error** error) {
      return smartvpn_config_set(loaded.config.get(), "/tun/name", json.data(), json.size(), error);
    });
  }
  EventLoop loop(options.events);
  Tunnel tunnel = make<Tunnel>([&](smartvpn_tunnel** out, smartvpn_error** error) {
    return smartvpn_tunnel_create(loaded.config.get(), out, error);
  });
  loaded.config.reset();
  Events events = make<Events>([&](smartvpn_events** out, smartvpn_error** error) {
    return smartvpn_tunnel_events_open(tunnel.get(), SMARTVPN_EVENTS_ALL, kEventQueue, out, error);
  });
  call([&](smartvpn_error** error) { return smartvpn_tunnel_start(tunnel.get(), error); });
  ConnectHost host(tunnel.get());
  loop.run(events.get(), host);
  if (host.refusal()) throw *host.refusal();
  return kExitOk;
}

}  // namespace smartvpn::cli
