// One client's connection, from accept to the last byte: its PROXY header, its first words, its route, its target, and
// then the bytes both ways. The object stands as long as the connection does, and says all that is known of it. On its
// worker's loop only.
#pragma once

#include <memory>

#include "net/opening_socket.hpp"
#include "net/tcp_connector.hpp"
#include "net/tcp_pump.hpp"
#include "net/timer.hpp"
#include "net/tls_pump.hpp"
#include "proxyproto/parser.hpp"
#include "relay/connection_facts.hpp"
#include "relay/http_host.hpp"
#include "relay/routing.hpp"

namespace smartvpn::relay {

class Worker;
struct FirstWords;

class Connection final : private net::OpeningSocket::Handler, private net::Pump::Handler {
 public:
  // What a client may send before its target is connected; then it is not read.
  static constexpr size_t kMaxHeld = 72 * 1024;

  Connection(Worker& worker, RoutingPtr routing, ConnectionFacts facts);
  ~Connection() override;

  // Once, first. May end the connection. `spare`: for the target's socket (net/scarcity.hpp); taken where that waits.
  void begin(net::Fd socket, net::Fd& spare) noexcept;
  // Ends it, with RST.
  void close(Reason why) noexcept;
  // Tells the books what has moved since the last time.
  void settle();

  uint64_t id() const noexcept { return facts_.id; }
  // A list of those that have ended, which needs no memory.
  void set_next(std::unique_ptr<Connection> next) noexcept { next_ = std::move(next); }
  std::unique_ptr<Connection> take_next() noexcept { return std::move(next_); }
  ConnectionInfo info() const;

 private:
  enum class Stage : uint8_t { header, hello, handshake, request, connecting, relaying, over };
  static const char* stage_name(Stage stage) noexcept;

  // Without memory for what a callback does, this connection ends and no other.
  template <class Fn>
  void guarded(Fn&& fn) noexcept {
    try {
      fn();
    } catch (const std::bad_alloc&) {
      end(Reason::out_of_memory);
    }
  }

  // connection.cpp: until it is known who comes
  void expect_header_or_client(net::Fd socket);
  void take_opening_bytes(ByteView bytes);
  void on_opening_bytes(ByteView bytes) override;
  void on_opening_end(int error) override;
  void on_header_bytes(ByteView bytes);
  void take_header();
  void take_identity();
  void admit();
  Reason check_admission();
  void on_timer();
  void take_deadline();
  void arm(Time deadline) noexcept;
  void hold(ByteView bytes);
  bool forged_header();
  void end(Reason why) noexcept;
  void account_end(Reason why) noexcept;

  // connection_opening.cpp: until it is known where it goes
  void listen_for_name(ByteView bytes);
  void take_route();
  RouteQuery route_query(const std::optional<inet::IpAddress>& ip) const noexcept;
  Reason enter_route(const Route& route);
  bool enter_chain();
  void hand_to_vpn();

  // connection_tls.cpp: where TLS ends here, until it is known where it goes
  void end_tls_here();
  void on_pump_secured() override;
  void on_pump_said() override;
  void listen_for_host();
  void lead_on();

  // connection_target.cpp: until both are joined
  void connect_next();
  void connect_to(std::vector<inet::Endpoint> addresses);
  void on_connected(Result<std::unique_ptr<net::FdWatcher>> socket);
  void target_failed(const Error& error);
  void stop_connecting() noexcept;
  void join(std::unique_ptr<net::FdWatcher> socket);
  bool join_pump(std::unique_ptr<net::FdWatcher> socket, Bytes header);
  std::optional<Bytes> proxy_header() const;

  // connection_target.cpp: while they are
  void on_pump_end(const net::PumpEnd& end) override;
  void on_pump_half_closed(net::PumpSide side) override;
  net::Pump::Handler::Look on_pump_first_bytes(ByteView bytes) override;
  void on_pump_refused() override;
  void watch_over();

  Worker& worker_;
  RoutingPtr routing_;
  ConnectionFacts facts_;
  Stage stage_ = Stage::header;
  bool no_header_allowed_ = false;  // what begins like a PROXY header is forged, and this is still to be looked at
  bool admitted_ = false, in_address_ = false, in_route_ = false, in_target_ = false;
  std::unique_ptr<proxyproto::Parser> parser_;
  std::unique_ptr<FirstWords> first_words_;
  Bytes held_;       // the client's, for the target
  Bytes unique_id_;  // of the chain; empty: none
  std::unique_ptr<net::OpeningSocket> client_;
  net::Fd spare_;                 // the target's, until there is a socket
  const Route* route_ = nullptr;  // in routing_
  std::shared_ptr<RouteState> route_state_;
  std::shared_ptr<TargetSet> targets_;
  uint64_t tried_ = 0;  // bit n: target n
  size_t target_ = 0;
  uint64_t look_up_ = 0;  // 0: none under way
  std::unique_ptr<net::TcpConnector> connector_;
  inet::Endpoint target_at_;
  std::unique_ptr<net::Pump> pump_;
  net::TlsPump* tls_pump_ = nullptr;  // `pump_`, where TLS ends here
  std::unique_ptr<HttpHostMachine> host_;
  size_t host_fed_ = 0;     // of what was in TLS
  size_t header_size_ = 0;  // of what we told the target ourselves
  uint64_t settled_in_ = 0, settled_out_ = 0;
  Time stage_deadline_ = kNever, lifetime_ends_ = kNever, half_open_ends_ = kNever;
  net::Timer timer_;
  std::unique_ptr<Connection> next_;
};

}  // namespace smartvpn::relay
