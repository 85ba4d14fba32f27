// A shard: one loop and everything it owns — listeners, sessions, routing, and for the first one the engine. Built
// and torn down by whoever holds the server's lifecycle lock; between open() and the end of run() only its own
// thread touches it. What the shards of a server share is in Control; packets for each other's sessions go by Crossing.
#pragma once

#include <atomic>
#include <map>

#include "forward/host/host_engine.hpp"
#include "forward/tun/tun_steering.hpp"
#include "net/timer.hpp"
#include "server/crossing.hpp"
#include "server/data_path.hpp"
#include "server/gatekeeper.hpp"
#include "server/handshake_stamps.hpp"
#include "server/queue_engine.hpp"
#include "server/registry_hub.hpp"
#include "server/server.hpp"
#include "server/uapi_changes.hpp"
#include "transport/wireguard/device.hpp"
#include "transport/ws/ws_listener.hpp"

namespace smartvpn::server {

class Shard final : public session::Host {
 public:
  // What it shares with others, and which of them it is. All of it outlives the shards.
  struct Place {
    telemetry::EventHub& hub;
    Control& control;
    Crossing* crossing = nullptr;  // null: it is the only one
    size_t index = 0;
    std::shared_ptr<HandshakeStamps> stamps = nullptr;  // what WireGuard's keys have shown before; null: its own book
  };
  static Result<std::unique_ptr<Shard>> create(std::shared_ptr<const Plan> plan, const Place& place);
  ~Shard() override;

  const config::ServerConfig& config() const { return plan_->config; }
  size_t index() const noexcept { return ids_.shard(); }
  // What the store has, before open().
  Result<void> load_clients(std::vector<registry::Client> clients, uint64_t revision);
  HandshakeStamps& stamps() { return *stamps_; }
  bool speaks_wireguard() const;
  // Opens the engine and the listeners; on failure everything is closed again. `first` is the server's first shard,
  // open already, with the engine and the ports that all have; null for itself.
  Result<void> open(const Shard* first = nullptr);
  // Serves until the drain of all shards is over.
  void run() { loop_->run(); }
  // Listeners and engine. When no shard's thread runs any more, or none did.
  void close_everything();
  net::Loop& loop() { return *loop_; }

  // On the shard's thread, from here on.
  // No new sessions from now; live ones may leave within `drain`, then they are closed.
  void begin_drain(Duration drain);
  // The stations of RegistryHub, on the first shard. Prepared, a change is committed or rolled back; either may be
  // repeated when it ran out of memory.
  Result<void> prepare(RegistryChange& change);
  void commit(RegistryChange& change);
  void roll_back(RegistryChange& change);
  // Then, on every shard, what it does to live sessions: first those that may not go on end, on all shards, then those
  // that are too many, and the others live by it.
  void judge_sessions(const RegistryChange& change);
  void settle_sessions(const RegistryChange& change);
  // Calls `fn(const ClientDirectory&)` under the lock of Control.
  template <class Fn>
  auto with_clients(Fn&& fn) const {
    MutexLock lock(control_.mutex);
    return fn(std::as_const(*control_.clients));
  }
  ServerFacts facts() const;
  std::vector<std::string> clients_online() const;
  Result<void> authorize_answer(uint64_t token, const Authorizer::Answer& answer) {
    return gatekeeper_->authorize_answer(token, answer);
  }
  // For the `wg` tool: this shard's peers, and what it wishes of them; shard_uapi.cpp.
  void add_wireguard_figures(std::vector<wireguard::PeerFigures>& all) const;
  void set_wireguard_wishes(const std::vector<UapiWish>& wishes);
  // This shard's alone; the first one begins a snapshot, the others add to it.
  void add_sessions(std::vector<SessionInfo>& all);
  Result<SessionInfo> session(uint64_t id);
  Result<void> disconnect(uint64_t session_id, Reason reason);
  void adopt(AdoptedConnection connection);
  void add_stats(telemetry::StatsSnapshot& out);
  Result<void> add_client_stats(const std::string& id, telemetry::ClientStats& out);
  // TLS contexts by listener, null where there is none: to be made anew elsewhere, because the shard
  // does not wait for the disk. The new ones are for new connections.
  using TlsContexts = std::vector<std::shared_ptr<const net::TlsContext>>;
  TlsContexts tls_contexts() const;
  void set_tls_contexts(TlsContexts fresh);
  // Takes a plan that differs from the present one only in keys that can be changed while it runs, and acts on
  // live sessions. May be repeated when it ran out of memory.
  void reconfigure(const std::shared_ptr<const Plan>& next);
  // `told`: path and result of each changed key, for the event.
  void tell_reconfigured(const std::vector<std::pair<std::string, std::string>>& told) { reporter_.reconfigured(told); }

  // Set by open(), constant afterwards.
  const std::vector<BoundEndpoint>& endpoints() const { return endpoints_; }
  std::shared_ptr<forward::HostChannel> host_channel() const { return host_channel_; }

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
  Shard(std::shared_ptr<const Plan> plan, const Place& place, std::unique_ptr<net::Loop> loop);
  bool is_first() const noexcept { return index() == 0; }
  Result<void> open_engine(const Shard* first);
  std::vector<inet::Cidr> client_subnets() const;
  void route_client_subnets();
  Result<void> open_listeners(const Shard* first);
  // shard_neighbours.cpp. Another shard has something for this one.
  void on_wake();
  void end_condemned() noexcept;
  // Takes back what a displaced session has, wherever it is: to be ended here, or its id noted for its own shard.
  uint64_t displace(uint64_t lease) noexcept REQUIRES(control_.mutex);
  void catch_up();
  // Of a plan that may not be in force yet, with its keys.
  ws::ListenerOptions listener_options(const Plan& plan, std::shared_ptr<const session::StaticKeys> keys,
                                       size_t index) const;
  std::unique_ptr<forward::Engine> make_engine();
  void forget_engine() noexcept;
  // shard_tun.cpp. The first shard's, with a device there: opens a queue for every other shard and has the kernel
  // steer by whose client a packet is for.
  void share_tun();
  Result<void> steer_device();
  void steer(const inet::Cidr& prefix) noexcept;
  // The others': takes the queue that the first has opened for it.
  void take_tun_queue() noexcept;
  // shard_wireguard.cpp
  Result<void> open_wireguard(size_t index, const Shard* first);
  void make_wireguard();
  wireguard::PeerSettings wireguard_settings(const PublicKey& key, const registry::Client& client,
                                             uint64_t number) const;
  void set_wireguard_peer(const wireguard::PeerSettings& peer);
  void set_wireguard_wish(const UapiWish& wish);
  void remove_wireguard_peer(const PublicKey& key) noexcept;
  void update_wireguard_peers(const registry::Draft& draft);
  void drop_stale_wireguard_peers();
  void forget_wireguard_homes();
  Drop wake_client(uint64_t client, Packet&& packet) noexcept;
  void hand_over(unsigned shard, const wireguard::StrayNote& note, ByteView message) noexcept;
  void collect_stray(ByteView bytes) noexcept;
  void take_strays() noexcept;
  void note_wireguard_stamps() noexcept;
  std::optional<telemetry::WireguardStats> wireguard_stats() const;
  void tell_roamed(LiveSession& session) noexcept;
  // Called under the lock of Control, through the gatekeeper.
  bool on_session_end(uint64_t connection, Reason reason, const std::string& detail) noexcept;
  LiveSession* begin_session(const session::Connection& connection, session::Link& link, Reason* why,
                             uint64_t* displaced) REQUIRES(control_.mutex);
  LiveSession* adopt(std::unique_ptr<LiveSession> session, const registry::Client& client) REQUIRES(control_.mutex);
  // What of the client's entry holds for a live session: at its start and after every change.
  void apply_settings(LiveSession& session, const registry::Client& client) REQUIRES(control_.mutex);
  void take_settings(LiveSession& session, const registry::Client& client) REQUIRES(control_.mutex);
  // All or, throwing, none that an older session has.
  void attach(const LiveSession& session, const std::vector<inet::Cidr>& routes) REQUIRES(control_.mutex);
  void tell_network(session::Link& link) noexcept;
  void judge_sessions_of(const std::string& client_id);
  void settle_sessions_of(const std::string& client_id);
  Reason judge(const LiveSession& session, const ClientDirectory::Found& found) const;
  // The first session on a rotation's new key is told.
  void note_key(const LiveSession& session) noexcept;
  // What is over by the clock: clients, and overlaps of rotations.
  void expire();
  void expire_rotations(int64_t now);
  // The part of it that is about traffic.
  void apply_limits(LiveSession& session, const registry::Client& client) REQUIRES(control_.mutex);
  std::unique_ptr<LiveSession> take_out(uint64_t connection) noexcept REQUIRES(control_.mutex);
  void end_session(uint64_t id, Reason reason) noexcept;
  void tick();
  void prepare_secrets();
  void drain_step();
  bool nobody_is_left();
  telemetry::SessionCounters counters_of(const LiveSession& session) const noexcept;
  int64_t last_seen_ms(const LiveSession& session) const noexcept;
  SessionInfo describe(const LiveSession& session) const;
  void add_session(telemetry::ClientStats& client, const LiveSession& session) const;
  void begin_stats(telemetry::StatsSnapshot& out);
  void add_stats_by_client(std::vector<telemetry::ClientStats>& all);

  std::shared_ptr<const Plan> plan_;
  telemetry::EventHub& hub_;
  Control& control_;
  const ShardIds ids_;
  RouteLog::Reader routes_;
  std::optional<Crossing::End> crossing_;  // none: there is no other shard
  std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<net::Wake> wake_;
  PacketPool packets_;
  MemoryGuard memory_;
  crypto::AeadEngine aead_;
  router::Router router_;
  SessionTable sessions_;
  std::unordered_map<uint64_t, uint64_t> session_of_connection_;
  Reporter reporter_;
  std::unique_ptr<Gatekeeper> gatekeeper_;
  DataPath data_path_;
  std::unique_ptr<forward::Engine> engine_;
  forward::TunEngine* tun_ = nullptr;                     // the engine, where it is the device's owner
  QueueEngine* queue_engine_ = nullptr;                   // the engine, on all shards but the first
  std::unique_ptr<const forward::TunSteering> steering_;  // null: the kernel spreads packets as it likes
  std::shared_ptr<forward::HostChannel> host_channel_;
  std::shared_ptr<const session::StaticKeys> keys_;
  TlsContexts tls_;
  std::vector<std::unique_ptr<ws::WsListener>> listeners_;  // by index; null where it is another transport's
  std::unique_ptr<wireguard::Device> wireguard_;            // null without a listener of its
  std::vector<wireguard::Stray> strays_;                    // of one look at the rings; with room for them
  const std::shared_ptr<HandshakeStamps> stamps_;
  HandshakeStamps::Grown grown_stamps_;
  std::unordered_map<uint64_t, unsigned> wireguard_homes_;  // by client number, with several shards
  std::map<PublicKey, UapiWish> wireguard_wishes_;          // of peers that are here
  uint64_t rotations_over_ = 0;                             // of Control, as this shard's peers have it
  std::vector<BoundEndpoint> endpoints_;
  net::Timer tick_;
  net::Timer drain_timer_;
  net::Timer secrets_timer_;
  Time drain_until_ = kNever, close_until_ = kNever;
  uint64_t next_connection_id_;
  int64_t started_ms_ = 0;
  bool draining_ = false, closing_ = false, drained_ = false;
  bool reconfigured_ = false;  // since the start: handshakes that began before it were told the old network
};

}  // namespace smartvpn::server
