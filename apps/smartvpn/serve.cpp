// `smartvpn serve`: a server of its own process, until a signal ends it. The control socket, the
// metrics and the service manager are parts of its loop.
#include <optional>

#include "c_api.hpp"
#include "commands.hpp"
#include "control/control_server.hpp"
#include "event_loop.hpp"
#include "metrics/metrics_server.hpp"
#include "server_config.hpp"
#include "service_manager.hpp"

namespace smartvpn::cli {
namespace {

class ServeHost final : public LoopHost {
 public:
  ServeHost(smartvpn_server* server, EventLoop& loop, ServiceManager& manager, ServerConfigFile& file, int drain_ms)
      : server_(server), loop_(loop), manager_(manager), file_(file), drain_ms_(drain_ms) {}

  // A timeout of 0: it goes on in the background, and its events tell how.
  void begin_stop() override {
    manager_.stopping();
    (void)smartvpn_server_stop(server_, drain_ms_, 0, nullptr);
  }
  void stop_now() override { (void)smartvpn_server_stop(server_, 0, 0, nullptr); }
  // A mistake in the new files is no reason to end: the server runs on as before.
  void on_hangup() override {
    try {
      (void)reload(false);
      loop_.say("the configuration and the certificates were read again");
    } catch (const Failure& failure) {
      loop_.complain(failure);
    }
  }

  // The changes as JSON. Throws Failure.
  std::string reload(bool dry_run) {
    if (dry_run) return file_.reconfigure(server_, true);
    manager_.reloading();
    std::optional<Failure> failed;
    std::string changes;
    try {
      changes = file_.reload(server_);
    } catch (Failure& failure) {
      failed = std::move(failure);
    }
    manager_.ready(failed ? "running; the last reload failed" : "running");
    if (failed) throw std::move(*failed);
    return changes;
  }

 private:
  smartvpn_server* server_;
  EventLoop& loop_;
  ServiceManager& manager_;
  ServerConfigFile& file_;
  const int drain_ms_;
};

// The answer of the server's own thread is the sign of life.
bool alive(smartvpn_server* server) {
  smartvpn_stats* raw = nullptr;
  smartvpn_status status = smartvpn_server_stats(server, &raw, nullptr);
  Stats stats(raw);
  return status == SMARTVPN_OK || status == SMARTVPN_BAD_STATE || status == SMARTVPN_CLOSED;
}

}  // namespace

int run_serve(const ServeOptions& options) {
  ServiceManager manager;
  ServerConfigFile file(options.config, manager.sockets());
  Config config = file.load();
  EventLoop loop(options.events);
  // Before the server is: what cannot be had ends it early, and nothing has begun then.
  std::optional<ControlSocket> socket;
  if (!options.control.empty()) socket.emplace(options.control);
  UniqueFd metrics_fd;
  if (!options.metrics.empty()) metrics_fd = listen_for_metrics(options.metrics);

  Server server = make<Server>(
      [&](smartvpn_server** out, smartvpn_error** error) { return smartvpn_server_create(config.get(), out, error); });
  config.reset();
  Events events = make<Events>([&](smartvpn_events** out, smartvpn_error** error) {
    return smartvpn_events_open(server.get(), SMARTVPN_EVENTS_ALL, kEventQueue, out, error);
  });
  call([&](smartvpn_error** error) { return smartvpn_server_start(server.get(), error); });

  ServeHost host(server.get(), loop, manager, file, options.drain_seconds * 1000);
  std::optional<ControlServer> control;
  if (socket) {
    control.emplace(*socket, ControlContext{server.get(), [&](bool dry_run) { return host.reload(dry_run); }});
    loop.add(*control);
    loop.say("control socket " + socket->path());
  }
  std::optional<MetricsServer> metrics;
  if (metrics_fd) {
    loop.say("metrics on http://" + bound_address(metrics_fd.get()) + "/metrics");
    metrics.emplace(std::move(metrics_fd), [&] {
      return make<Stats>([&](smartvpn_stats** out, smartvpn_error** error) {
        return smartvpn_server_stats(server.get(), out, error);
      });
    });
    loop.add(*metrics);
  }
  manager.watch([&] { return alive(server.get()); });
  loop.add(manager);
  manager.ready("running");
  loop.run(events.get(), host);
  return kExitOk;
}

}  // namespace smartvpn::cli
