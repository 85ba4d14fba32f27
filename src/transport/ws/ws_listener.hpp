// A listening port of the WebSocket carrier and the connections that came through it. Gives strangers
// their small share of each loop turn: handshakes wait here for the admission's budget, known
// sessions do not.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>

#include "net/tcp_listener.hpp"
#include "net/timer.hpp"
#include "net/tls_context.hpp"
#include "proxyproto/parser.hpp"
#include "session/link.hpp"
#include "session/responder.hpp"
#include "transport/ws/forwarded.hpp"
#include "transport/ws/upgrade_server.hpp"

namespace smartvpn::ws {

class ServerConnection;

struct ListenerOptions {
  uint32_t listener = 0;   // index into the configuration's `listen`
  inet::Endpoint address;  // port 0: the kernel chooses
  int fd = -1;             // a listening socket of the host, instead of `address`
  net::PortSharing port = net::PortSharing::none;
  bool proxy_header = false;
  proxyproto::Mode proxy_mode = proxyproto::Mode::any;
  proxyproto::Limits proxy_limits;
  Duration proxy_timeout = seconds(5);
  bool proxy_local_health = false;  // after LOCAL only GET /healthz may follow; otherwise it is closed
  RealIpHeader real_ip;             // an HTTP proxy's, when it is not off
  TrustedAddress trusts;            // whose word in that header is taken
  Duration upgrade_timeout = seconds(10);
  UpgradeServerConfig upgrade;
  session::ResponderConfig responder;
};

// A connection whose first part somebody else in this process has read: a relay.
struct AdoptedClient {
  inet::Endpoint peer;                 // the socket's
  std::optional<inet::Endpoint> real;  // as a PROXY header's source: nothing for a client without an address
  bool vouched = false;                // a trusted proxy has said so, in a header
  std::vector<session::ProxyTlvText> tlvs;
  Bytes first;  // the client's own bytes that were read
};

// What the connections of a shard share. Everything outlives the listener.
struct Surroundings {
  net::Loop& loop;
  session::Host& host;
  crypto::AeadEngine& aead;
  PacketPool& pool;
  Rng& rng;
  uint64_t& next_connection_id;
};

class WsListener {
 public:
  // Refused connections that may stay a moment to read why; those above it are closed at once.
  static constexpr size_t kMaxLingering = 256;
  // How often it is told that descriptors or memory for newcomers are missing.
  static constexpr Duration kPressureInterval = seconds(10);

  static Result<std::unique_ptr<WsListener>> create(const Surroundings& around, ListenerOptions options,
                                                    std::shared_ptr<const net::TlsContext> tls);
  ~WsListener();

  const inet::Endpoint& local() const { return acceptor_->local(); }
  // As if it had been accepted here, had come with the header that says this, and had sent these bytes. Neither a PROXY
  // header nor one of HTTP is expected of it.
  void adopt(net::Fd socket, AdoptedClient client);
  size_t connections() const { return connections_.size(); }
  // For new connections; live ones keep what they have.
  void set_tls(std::shared_ptr<const net::TlsContext> tls) { tls_ = std::move(tls); }

  // The answer to Admission::on_identity that came later. False: not, or no longer, a connection of this listener.
  bool deliver_verdict(uint64_t connection, const session::IdentityVerdict& verdict) noexcept;

  // For new connections, but for where it listens. Keys are for live ones too.
  void set_options(ListenerOptions options);

  // No session will begin here any more. A listening socket of the host's is let alone from now on: whoever else has
  // it serves what comes. At our own, health checks are answered until the end.
  void begin_drain() noexcept;
  // Refuses whatever comes, and closes every connection with this reason; sessions are told.
  void close_all(Reason reason);

 private:
  friend class ServerConnection;
  WsListener(const Surroundings& around, ListenerOptions options, std::shared_ptr<const net::TlsContext> tls);
  void on_accept(std::unique_ptr<net::TcpStream> stream);
  void on_pressure(int error);
  void want_handshake(uint64_t connection);
  void run_handshakes();
  // Takes the connection out; it is destroyed when this turn's callbacks are over.
  void retire(uint64_t connection) noexcept;
  void bury() noexcept;

  Surroundings around_;
  ListenerOptions options_;
  std::shared_ptr<const net::TlsContext> tls_;
  std::unordered_map<uint64_t, std::unique_ptr<ServerConnection>> connections_;
  std::unique_ptr<ServerConnection> dead_;  // a chain, so that burying needs no memory
  size_t lingering_ = 0;
  std::deque<uint64_t> handshakes_;
  net::TurnEnd bury_;
  net::Timer handshake_timer_;
  net::TurnEnd handshake_turn_;
  std::optional<Time> pressure_told_;
  bool closing_ = false;
  std::unique_ptr<net::TcpListener> acceptor_;
};

}  // namespace smartvpn::ws
