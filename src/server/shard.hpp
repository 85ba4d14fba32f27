// A shard: one loop and everything it owns — listeners, sessions, routing, the engine. Built and torn
// down by whoever holds the server's lifecycle lock; between open() and the end of run() only its own
// thread touches it. A server has one shard in this version.
#pragma once

#include <atomic>

#include "forward/host/host_engine.hpp"
#include "net/timer.hpp"
#include "server/data_path.hpp"
#include "server/gatekeeper.hpp"
#include "server/server.hpp"
#include "transport/ws/ws_listener.hpp"

namespace smartvpn::server {

class Shard final : public session::Host {
 public:
  static Result<std::unique_ptr<Shard>> create(Plan plan, telemetry::EventHub& hub);
  ~Shard() override;

  // Opens the engine and the listeners; on failure everything is closed again.
  Result<void> open();
  // Serves until the drain is over. Closes listeners and engine before it returns.
  void run();
  net::Loop& loop() { return *loop_; }

  // On the shard's thread, from here on.
  // No new sessions from now; live ones may leave within `drain`, then they are closed.
  void begin_drain(Duration drain);
  Result<NewClient> client_create(const registry::ClientSpec& spec);
  Result<void> client_set_enabled(const std::string& id, bool enabled);
  Result<void> client_remove(const std::string& id);
  ClientDirectory& clients() { return *clients_; }
  std::vector<SessionInfo> sessions();
  Result<SessionInfo> session(uint64_t id);
  Result<void> disconnect(uint64_t session_id, Reason reason);
  telemetry::StatsSnapshot stats();
  // TLS contexts by listener, null where there is none: to be made anew elsewhere, because the shard
  // does not wait for the disk. The new ones are for new connections.
  using TlsContexts = std::vector<std::shared_ptr<const net::TlsContext>>;
  TlsContexts tls_contexts() const;
  void set_tls_contexts(TlsContexts fresh);
  // Takes a plan that differs from the present one only in keys that can be changed while it runs, and acts on
  // live sessions. `told`: path and result of each changed key, for the event.
  void reconfigure(Plan next, const std::vector<std::pair<std::string, std::string>>& told);

  // Set by open(), constant afterwards.
  const std::vector<BoundEndpoint>& endpoints() const { return endpoints_; }
  std::shared_ptr<forward::HostChannel> host_channel() const { return host_channel_; }

  // session::Host
  session::Admission& admission() override { return *gatekeeper_; }
  uint64_t on_confirmed(const session::Connection& connection, session::Link& link, Reason* why) override;
  void on_packets(uint64_t session, std::span<const PacketView> batch) override;
  void on_drop(uint64_t session, Drop drop, uint64_t packets) override;
  void on_rtt(uint64_t session, Duration rtt, Time now) override;
  void on_silence(uint64_t session, bool silent) override;
  void on_log(int level, std::string text) override;
  bool draining() const override { return draining_; }

  void abandon_after_fork() noexcept;

 private:
  Shard(Plan plan, telemetry::EventHub& hub, std::unique_ptr<net::Loop> loop, registry::AddressPool pool);
  Result<void> declare_clients();
  Result<void> open_engine();
  Result<void> open_listeners();
  ws::ListenerOptions listener_options(size_t index) const;
  std::unique_ptr<forward::Engine> make_engine();
  bool on_session_end(uint64_t connection, Reason reason, const std::string& detail) noexcept;
  LiveSession* adopt(std::unique_ptr<LiveSession> session, uint64_t client_number);
  std::unique_ptr<LiveSession> take_out(uint64_t connection) noexcept;
  void end_session(uint64_t id, Reason reason) noexcept;
  void tick();
  void close_everything();
  void drain_step();
  SessionInfo describe(const LiveSession& session) const;
  std::string client_url() const;

  Plan plan_;
  telemetry::EventHub& hub_;
  std::unique_ptr<net::Loop> loop_;
  registry::AddressPool addresses_;
  PacketPool packets_;
  crypto::AeadEngine aead_;
  router::Router router_;
  SessionTable sessions_;
  std::unordered_map<uint64_t, uint64_t> session_of_connection_;
  Reporter reporter_;
  std::unique_ptr<ClientDirectory> clients_;
  std::unique_ptr<Gatekeeper> gatekeeper_;
  DataPath data_path_;
  std::unique_ptr<forward::Engine> engine_;
  std::shared_ptr<forward::HostChannel> host_channel_;
  std::shared_ptr<const session::StaticKeys> keys_;
  std::vector<std::unique_ptr<ws::WsListener>> listeners_;
  std::vector<BoundEndpoint> endpoints_;
  net::Timer tick_;
  net::Timer drain_timer_;
  Time drain_until_ = kNever, close_until_ = kNever;
  uint64_t next_connection_id_ = 1;
  int64_t started_ms_ = 0;
  bool draining_ = false, closing_ = false;
};

}  // namespace smartvpn::server
