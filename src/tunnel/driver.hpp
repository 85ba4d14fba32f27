// The life of a tunnel on its own thread: one connection after the other, the engine behind them, and
// what the host hears of both. `Tunnel` is its face for other threads.
#pragma once

#include <functional>

#include "crypto/x25519.hpp"
#include "inet/inner_packet.hpp"
#include "telemetry/event_hub.hpp"
#include "telemetry/link_quality.hpp"
#include "tunnel/backoff.hpp"
#include "tunnel/client_connection_link.hpp"
#include "tunnel/client_engine.hpp"
#include "tunnel/tunnel.hpp"

namespace smartvpn::tunnel {

class Driver final : private ClientConnection::Owner, private forward::EngineSink {
 public:
  // `on_state` is told every change, on the loop's thread; `refused` says that no attempt will follow.
  using OnState = std::function<void(State state, bool refused)>;
  static Result<std::unique_ptr<Driver>> create(config::TunnelConfig config, telemetry::EventHub& hub,
                                                OnState on_state);
  ~Driver() override;

  // Opens the engine. Before run().
  Result<void> open();
  // Dials until stop_soon(); closes the engine before it returns.
  void run();
  net::Loop& loop() { return *loop_; }
  std::shared_ptr<forward::HostChannel> channel() const { return engine_->channel(); }

  // On the loop's thread.
  void stop_soon();
  TunnelInfo info();
  TunnelInfo take_info() noexcept;  // at the end; the driver's own is gone then
  telemetry::StatsSnapshot stats();

  void abandon_after_fork() noexcept;

 private:
  Driver(config::TunnelConfig config, telemetry::EventHub& hub, OnState on_state, std::unique_ptr<net::Loop> loop);
  void dial();
  void on_retry();
  void set_state(State state, bool refused = false);
  void forget_connection();
  void log(const char* level, const std::string& message);
  void count_connection() noexcept;
  void report_health();
  void report_ending(const Ending& ending, bool was_up, int64_t duration_ms) noexcept;

  // ClientConnection::Owner
  void on_dialling(const std::vector<inet::Endpoint>& addresses) override;
  void on_connected(const session::SessionParameters& parameters) override;
  void on_reconfigured(const session::SessionParameters& parameters) override;
  void on_packets(std::span<const PacketView> batch) override;
  void on_drop(Drop drop, uint64_t count) override { counters_.drop(drop, count); }
  void on_rtt(Duration sample) override;
  void on_silence(bool silent) override;
  void on_ended(const Ending& ending) noexcept override;
  // forward::EngineSink
  void on_engine_packets(std::span<Packet> batch) override;
  void on_engine_drop(Drop drop, uint64_t packets) override { counters_.drop(drop, packets); }
  void on_engine_failed(const Error& error) override;
  void on_engine_recovered(const std::string& how) override { log("warning", "forwarding works again: " + how); }
  void on_engine_notice(const std::string& text) override { log("warning", text); }
  PacketPool& engine_pool() override { return pool_; }

  const PublicKey& expected_server_key() const;
  void apply(const session::SessionParameters& parameters);
  void send(Packet&& packet);
  void finish_stop();

  const config::TunnelConfig config_;
  telemetry::EventHub& hub_;
  const OnState on_state_;
  std::unique_ptr<net::Loop> loop_;
  PacketPool pool_;
  crypto::AeadEngine aead_;
  std::shared_ptr<const crypto::KeyPair> key_;
  std::shared_ptr<const net::TlsContext> tls_;
  std::unique_ptr<net::Resolver> resolver_;
  std::unique_ptr<ClientEngine> engine_;
  std::unique_ptr<ClientConnection> connection_;
  Backoff backoff_;
  net::Timer retry_, goodbye_;
  std::vector<inet::Endpoint> dialled_;  // what the server's name meant last
  TunnelInfo info_;
  session::SessionParameters parameters_;
  // The key that the server announced for some day; while there is one, attempts that fail take turns.
  std::optional<PublicKey> next_server_key_;
  bool expect_next_key_ = false;
  telemetry::SessionCounters counters_;
  telemetry::LinkEstimator quality_;
  std::vector<PacketView> batch_;
  uint64_t sessions_ = 0, ended_[kReasonCount] = {};
  int64_t started_ms_ = 0;
  Time since_{};  // of the present session
  Time stop_until_ = kNever;
  bool stopping_ = false;
};

}  // namespace smartvpn::tunnel
