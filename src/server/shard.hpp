// A shard: one loop and everything it owns — listeners, sessions, routing, the engine. Built and torn
// down by whoever holds the server's lifecycle lock; between open() and the end of run() only its own
// thread touches it. A server has one shard in this version.
#pragma once

#include <atomic>

#include "forward/host/host_engine.hpp"
#include "net/timer.hpp"
#include "server/client_account.hpp"
#include "server/data_path.hpp"
#include "server/gatekeeper.hpp"
#include "server/handshake_stamps.hpp"
#include "server/memory_guard.hpp"
#include "server/registry_hub.hpp"
#include "server/server.hpp"
#include "transport/wireguard/device.hpp"
#include "transport/ws/ws_listener.hpp"

namespace smartvpn::server {

class Shard final : public session::Host {
 public:
  // `stamps`: what WireGuard's keys have shown before; null: a book of its own.
  static Result<std::unique_ptr<Shard>> create(Plan plan, telemetry::EventHub& hub,
                                               std::shared_ptr<HandshakeStamps> stamps = nullptr);
  ~Shard() override;

  const config::ServerConfig& config() const { return plan_.config; }
  // What the store has, before open().
  Result<void> load_clients(std::vector<registry::Client> clients, uint64_t revision);
  HandshakeStamps& stamps() { return *stamps_; }
  bool speaks_wireguard() const;
  // Opens the engine and the listeners; on failure everything is closed again.
  Result<void> open();
  // Serves until the drain is over. Closes listeners and engine before it returns.
  void run();
  net::Loop& loop() { return *loop_; }

  // On the shard's thread, from here on.
  // No new sessions from now; live ones may leave within `drain`, then they are closed.
  void begin_drain(Duration drain);
  // The stations of RegistryHub. Prepared, a change is committed or rolled back; either may be repeated when
  // it ran out of memory.
  Result<void> prepare(RegistryChange& change) { return clients_->prepare(change.draft); }
  void commit(RegistryChange& change);
  void roll_back(RegistryChange& change) { clients_->roll_back(change.draft); }
  const ClientDirectory& clients() const { return *clients_; }
  ServerFacts facts() const;
  std::vector<std::string> clients_online() const;
  Result<void> authorize_answer(uint64_t token, const Authorizer::Answer& answer) {
    return gatekeeper_->authorize_answer(token, answer);
  }
  std::vector<SessionInfo> sessions();
  Result<SessionInfo> session(uint64_t id);
  Result<void> disconnect(uint64_t session_id, Reason reason);
  telemetry::StatsSnapshot stats();
  Result<telemetry::ClientStats> client_stats(const std::string& id);
  // TLS contexts by listener, null where there is none: to be made anew elsewhere, because the shard
  // does not wait for the disk. The new ones are for new connections.
  using TlsContexts = std::vector<std::shared_ptr<const net::TlsContext>>;
  TlsContexts tls_contexts() const;
  void set_tls_contexts(TlsContexts fresh);
  // Takes a plan that differs from the present one only in keys that can be changed while it runs, and acts on
  // live sessions. `told`: path and result of each changed key, for the event.
  void reconfigure(Plan& next, const std::vector<std::pair<std::string, std::string>>& told);

  // Set by open(), constant afterwards.
  const std::vector<BoundEndpoint>& endpoints() const { return endpoints_; }
  std::shared_ptr<forward::HostChannel> host_channel() const { return host_channel_; }
  // Where the host is asked; null unless `security.authorize` is required. Set by create().
  std::shared_ptr<RequestQueue> requests() const { return requests_; }

  // session::Host
  session::Admission& admission() override { return *gatekeeper_; }
  uint64_t on_confirmed(const session::Connection& connection, session::Link& link, Reason* why) override;
  void on_packets(uint64_t session, std::span<const PacketView> batch) override;
  void on_drop(uint64_t session, Drop drop, uint64_t packets) override;
  void on_rtt(uint64_t session, Duration rtt, Time now) override;
  void on_awaited(uint64_t session, Packet&& packet) override;
  void on_roamed(uint64_t session, const session::Connection& connection) override;
  void on_silence(uint64_t session, bool silent) override;
  void on_log(int level, std::string text) override;
  bool draining() const override { return draining_; }

  void abandon_after_fork() noexcept;

 private:
  Shard(Plan plan, telemetry::EventHub& hub, std::unique_ptr<net::Loop> loop, registry::AddressPool pool,
        std::shared_ptr<HandshakeStamps> stamps);
  Result<void> open_engine();
  std::vector<inet::Cidr> client_subnets() const;
  void route_client_subnets();
  Result<void> open_listeners();
  // Of a plan that may not be in force yet, with its keys.
  ws::ListenerOptions listener_options(const Plan& plan, std::shared_ptr<const session::StaticKeys> keys,
                                       size_t index) const;
  std::unique_ptr<forward::Engine> make_engine();
  // shard_wireguard.cpp
  Result<void> open_wireguard(size_t index);
  void set_wireguard_peer(const PublicKey& key, const registry::Client& client);
  void update_wireguard_peers(const registry::Draft& draft);
  void drop_stale_wireguard_peers();
  void note_wireguard_stamps() noexcept;
  std::optional<telemetry::WireguardStats> wireguard_stats() const;
  void tell_roamed(LiveSession& session) noexcept;
  bool on_session_end(uint64_t connection, Reason reason, const std::string& detail) noexcept;
  LiveSession* adopt(std::unique_ptr<LiveSession> session, const registry::Client& client);
  // What of the client's entry holds for a live session: at its start and after every change.
  void apply_settings(LiveSession& session, const registry::Client& client);
  void take_settings(LiveSession& session, const registry::Client& client);
  // All or, throwing, none that an older session has.
  void attach(const LiveSession& session, const std::vector<inet::Cidr>& routes);
  void tell_network(session::Link& link) noexcept;
  // Holds a client's live sessions against its entry as it is now: ends them, or applies it to them.
  void enforce(const std::string& client_id);
  Reason judge(const LiveSession& session, const ClientDirectory::Found& found) const;
  // The first session on a rotation's new key is told.
  void note_key(const LiveSession& session) noexcept;
  // What is over by the clock: clients, and overlaps of rotations.
  void expire();
  // The part of it that is about traffic.
  void apply_limits(LiveSession& session, const registry::Client& client);
  std::unique_ptr<LiveSession> take_out(uint64_t connection) noexcept;
  void end_session(uint64_t id, Reason reason) noexcept;
  void tick();
  void prepare_secrets();
  void close_everything();
  void drain_step();
  telemetry::SessionCounters counters_of(const LiveSession& session) const noexcept;
  int64_t last_seen_ms(const LiveSession& session) const noexcept;
  SessionInfo describe(const LiveSession& session) const;
  void add_session(telemetry::ClientStats& client, const LiveSession& session) const;
  std::vector<telemetry::ClientStats> stats_by_client();
  std::string client_url() const;

  Plan plan_;
  telemetry::EventHub& hub_;
  std::unique_ptr<net::Loop> loop_;
  registry::AddressPool addresses_;
  PacketPool packets_;
  MemoryGuard memory_;
  crypto::AeadEngine aead_;
  router::Router router_;
  ClientAccounts accounts_;
  SessionTable sessions_;
  std::unordered_map<uint64_t, uint64_t> session_of_connection_;
  Reporter reporter_;
  std::unique_ptr<ClientDirectory> clients_;
  std::shared_ptr<RequestQueue> requests_;
  std::unique_ptr<Gatekeeper> gatekeeper_;
  DataPath data_path_;
  std::unique_ptr<forward::Engine> engine_;
  std::shared_ptr<forward::HostChannel> host_channel_;
  std::shared_ptr<const session::StaticKeys> keys_;
  std::vector<std::unique_ptr<ws::WsListener>> listeners_;  // by index; null where it is another transport's
  std::unique_ptr<wireguard::Device> wireguard_;            // null without a listener of its
  const std::shared_ptr<HandshakeStamps> stamps_;
  HandshakeStamps::Grown grown_stamps_;
  std::vector<BoundEndpoint> endpoints_;
  net::Timer tick_;
  net::Timer drain_timer_;
  net::Timer secrets_timer_;
  Time drain_until_ = kNever, close_until_ = kNever;
  uint64_t next_connection_id_ = 1;
  int64_t started_ms_ = 0;
  bool draining_ = false, closing_ = false;
  bool reconfigured_ = false;  // since the start: handshakes that began before it were told the old network
};

}  // namespace smartvpn::server
