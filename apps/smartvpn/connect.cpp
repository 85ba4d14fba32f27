// `smartvpn connect`: the dialling end, which comes back after every loss until a signal ends it or
// the server has refused for good.
#include <nlohmann/json.hpp>
#include <optional>

#include "c_api.hpp"
#include "commands.hpp"
#include "config_file.hpp"
#include "connect_dns.hpp"
#include "event_loop.hpp"

namespace smartvpn::cli {
namespace {

nlohmann::json info_of(smartvpn_tunnel* tunnel) {
  std::string text;
  size_t needed = 0;
  smartvpn_status status;
  do {
    text.resize(needed);
    status = smartvpn_tunnel_info(tunnel, text.data(), text.size(), &needed, nullptr);
  } while (status == SMARTVPN_BUFFER_TOO_SMALL);
  if (status < 0) throw failure_of(status, nullptr);
  return nlohmann::json::parse(text.c_str());
}

void set_key(smartvpn_config* config, const char* pointer, const nlohmann::json& value) {
  std::string json = value.dump();
  call([&](smartvpn_error** error) { return smartvpn_config_set(config, pointer, json.data(), json.size(), error); });
}

class ConnectHost final : public LoopHost {
 public:
  ConnectHost(smartvpn_tunnel* tunnel, EventLoop& loop, DnsSwitch* dns) : tunnel_(tunnel), loop_(loop), dns_(dns) {}

  void on_event(const smartvpn_event* event) override {
    int32_t type = smartvpn_event_type(event);
    // A log event may be about new settings from the server.
    bool changed = type == SMARTVPN_EVENT_LOG && smartvpn_tunnel_state(tunnel_) == SMARTVPN_TUNNEL_CONNECTED;
    if (dns_ && (type == SMARTVPN_EVENT_SESSION_UP || changed)) switch_dns();
    if (type == SMARTVPN_EVENT_SESSION_DOWN || type == SMARTVPN_EVENT_LOG) look_for_refusal();
  }
  void begin_stop() override { (void)smartvpn_tunnel_stop(tunnel_, 0, nullptr); }
  void stop_now() override { begin_stop(); }
  void abandon() override {
    if (dns_) dns_->undo_or_say();
  }
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

  // Without its name servers a tunnel is still one.
  void switch_dns() {
    try {
      const nlohmann::json info = info_of(tunnel_);
      dns_->apply(info.value("device", ""), info.value("dns", std::vector<std::string>()));
    } catch (const Failure& failure) {
      loop_.complain(failure);
    }
  }

  smartvpn_tunnel* tunnel_;
  EventLoop& loop_;
  DnsSwitch* dns_;  // null: not wanted
  std::optional<Failure> refusal_;
};

}  // namespace

int run_connect(const ConnectOptions& options) {
  LoadedConfig loaded = load_config(options.config, Kind::tunnel);
  if (!options.tun.empty()) set_key(loaded.config.get(), "/tun/name", options.tun);
  if (!options.routes.empty()) set_key(loaded.config.get(), "/tun/routes", options.routes == "from-server");
  EventLoop loop(options.events);
  std::optional<DnsSwitch> dns;
  if (options.dns) dns.emplace();  // before the server's name is looked up
  Tunnel tunnel = make<Tunnel>([&](smartvpn_tunnel** out, smartvpn_error** error) {
    return smartvpn_tunnel_create(loaded.config.get(), out, error);
  });
  loaded.config.reset();
  Events events = make<Events>([&](smartvpn_events** out, smartvpn_error** error) {
    return smartvpn_tunnel_events_open(tunnel.get(), SMARTVPN_EVENTS_ALL, kEventQueue, out, error);
  });
  call([&](smartvpn_error** error) { return smartvpn_tunnel_start(tunnel.get(), error); });
  ConnectHost host(tunnel.get(), loop, dns ? &*dns : nullptr);
  loop.run(events.get(), host);
  if (host.refusal()) throw *host.refusal();
  return kExitOk;
}

}  // namespace smartvpn::cli
