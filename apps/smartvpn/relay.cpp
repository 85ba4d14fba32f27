// `smartvpn relay`: a layer-4 relay of its own process, until a signal ends it.
#include <optional>

#include "c_api.hpp"
#include "commands.hpp"
#include "config_file.hpp"
#include "event_loop.hpp"
#include "metrics/metrics_server.hpp"
#include "service_manager.hpp"

namespace smartvpn::cli {
namespace {

// Of connections that come and go there is a line each with --events alone.
constexpr uint64_t kTextEvents = SMARTVPN_EVENTS_ALL & ~SMARTVPN_EVENT_BIT(SMARTVPN_EVENT_CONNECTION_ACCEPTED) &
                                 ~SMARTVPN_EVENT_BIT(SMARTVPN_EVENT_CONNECTION_CLOSED);

class RelayHost final : public LoopHost {
 public:
  RelayHost(smartvpn_relay* relay, EventLoop& loop, ServiceManager& manager, const RelayOptions& options)
      : relay_(relay), loop_(loop), manager_(manager), options_(options) {}

  void begin_stop() override {
    manager_.stopping();
    (void)smartvpn_relay_stop(relay_, options_.drain_seconds * 1000, 0, nullptr);
  }
  void stop_now() override { (void)smartvpn_relay_stop(relay_, 0, 0, nullptr); }
  // A mistake in the new file is no reason to end: the relay runs on as before.
  void on_hangup() override {
    manager_.reloading();
    try {
      must_be_readable_again(options_.config);
      const LoadedConfig next = load_config(options_.config, Kind::relay);
      call([&](smartvpn_error** error) {
        return smartvpn_relay_reconfigure(relay_, next.config.get(), 0, nullptr, error);
      });
      loop_.say("the configuration was read again");
      manager_.ready("running");
    } catch (const Failure& failure) {
      loop_.complain(failure);
      manager_.ready("running; the last reload failed");
    }
  }

 private:
  smartvpn_relay* relay_;
  EventLoop& loop_;
  ServiceManager& manager_;
  const RelayOptions& options_;
};

Stats stats_of(smartvpn_relay* relay) {
  return make<Stats>(
      [&](smartvpn_stats** out, smartvpn_error** error) { return smartvpn_relay_stats(relay, out, error); });
}

// The answer of the relay's own threads is the sign of life.
bool alive(smartvpn_relay* relay) {
  smartvpn_stats* raw = nullptr;
  const smartvpn_status status = smartvpn_relay_stats(relay, &raw, nullptr);
  Stats stats(raw);
  return status == SMARTVPN_OK || status == SMARTVPN_BAD_STATE;
}

}  // namespace

int run_relay(const RelayOptions& options) {
  ServiceManager manager;
  LoadedConfig loaded = load_config(options.config, Kind::relay);
  EventLoop loop(options.events);
  UniqueFd metrics_fd;
  if (!options.metrics.empty()) metrics_fd = listen_for_metrics(options.metrics);
  Relay relay = make<Relay>([&](smartvpn_relay** out, smartvpn_error** error) {
    return smartvpn_relay_create(loaded.config.get(), out, error);
  });
  loaded.config.reset();
  Events events = make<Events>([&](smartvpn_events** out, smartvpn_error** error) {
    return smartvpn_relay_events_open(relay.get(), options.events ? SMARTVPN_EVENTS_ALL : kTextEvents, kEventQueue, out,
                                      error);
  });
  call([&](smartvpn_error** error) { return smartvpn_relay_start(relay.get(), error); });
  RelayHost host(relay.get(), loop, manager, options);
  std::optional<MetricsServer> metrics;
  if (metrics_fd) {
    loop.say("metrics on http://" + bound_address(metrics_fd.get()) + "/metrics");
    metrics.emplace(std::move(metrics_fd), [&] { return stats_of(relay.get()); });
    loop.add(*metrics);
  }
  manager.watch([&] { return alive(relay.get()); });
  loop.add(manager);
  manager.ready("running");
  loop.run(events.get(), host);
  return kExitOk;
}

}  // namespace smartvpn::cli
