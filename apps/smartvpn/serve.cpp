// `smartvpn serve`: a server of its own process, until a signal ends it.
#include "c_api.hpp"
#include "commands.hpp"
#include "config_file.hpp"
#include "event_loop.hpp"

namespace smartvpn::cli {
namespace {

constexpr size_t kEventQueue = 4096;

class ServeHost final : public LoopHost {
 public:
  ServeHost(smartvpn_server* server, EventLoop& loop, int drain_ms)
      : server_(server), loop_(loop), drain_ms_(drain_ms) {}

  // A timeout of 0: it goes on in the background, and its events tell how.
  void begin_stop() override { (void)smartvpn_server_stop(server_, drain_ms_, 0, nullptr); }
  void stop_now() override { (void)smartvpn_server_stop(server_, 0, 0, nullptr); }
  // A mistake in the new files is no reason to end: the old ones stay in use.
  void on_hangup() override {
    smartvpn_error* raw = nullptr;
    smartvpn_status status = smartvpn_server_reload_certificates(server_, &raw);
    ApiError error(raw);
    if (status == SMARTVPN_OK) return loop_.say("certificates were read again");
    print_failure(failure_of(status, error.get()));
  }

 private:
  smartvpn_server* server_;
  EventLoop& loop_;
  const int drain_ms_;
};

}  // namespace

int run_serve(const ServeOptions& options) {
  LoadedConfig loaded = load_config(options.config, Kind::server);
  EventLoop loop(options.events);
  Server server = make<Server>([&](smartvpn_server** out, smartvpn_error** error) {
    return smartvpn_server_create(loaded.config.get(), out, error);
  });
  loaded.config.reset();
  Events events = make<Events>([&](smartvpn_events** out, smartvpn_error** error) {
    return smartvpn_events_open(server.get(), SMARTVPN_EVENTS_ALL, kEventQueue, out, error);
  });
  call([&](smartvpn_error** error) { return smartvpn_server_start(server.get(), error); });
  ServeHost host(server.get(), loop, options.drain_seconds * 1000);
  loop.run(events.get(), host);
  return kExitOk;
}

}  // namespace smartvpn::cli
