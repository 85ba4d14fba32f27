// One connection on the server's side, from accept to the last byte: PROXY header, phase 1, TLS,
// upgrade, native handshake, session. Each step is a machine of its own; this file moves bytes
// between them and keeps the deadlines. It is the session's `Link` towards the server.
#pragma once

#include "net/timer.hpp"
#include "transport/ws/ws_listener.hpp"
#include "transport/ws/ws_outlet_link.hpp"

namespace smartvpn::ws {

class ServerConnection final : public session::Link,
                               private session::ResponderHandler,
                               private net::TcpStream::Handler,
                               private net::TlsMachine::Sink,
                               private Handler {
 public:
  ServerConnection(WsListener& listener, uint64_t id, std::unique_ptr<net::TcpStream> stream);
  ~ServerConnection() override;

  const session::Connection& connection() const { return connection_; }
  // Asks for admission and begins to read.
  void begin() noexcept;
  void begin_adopted(AdoptedClient client) noexcept;
  // The budget allows the waiting handshake message to be opened.
  void run_handshake() noexcept;
  void deliver_verdict(const session::IdentityVerdict& verdict) noexcept;
  // Handshakes that begin from now on use them, rekeys included.
  void set_keys(std::shared_ptr<const session::StaticKeys> keys) noexcept;

  // session::Link
  Drop send(Packet&& packet) override;
  void set_gate(session::SendGate* gate) noexcept override;
  void trim() noexcept override {
    if (responder_) responder_->trim_queue();
  }
  void sift(const std::function<bool(const Packet&)>& keep) noexcept override {
    if (responder_) responder_->sift_queue(keep);
  }
  bool takes_super_packets() const override { return responder_ && responder_->peer_takes_super_packets(); }
  uint16_t mtu() const override { return responder_ ? responder_->mtu() : 0; }
  void close(Reason reason) noexcept override;
  void update(const session::NetworkUpdate& update) noexcept override;
  session::LinkFigures figures() const override;

 private:
  friend class WsListener;  // next_dead_
  enum class Stage : uint8_t {
    proxy_header,
    upgrade,    // TLS, if any, and the HTTP head
    open,       // WebSocket: handshake, then session
    discard,    // PROXY LOCAL: whatever comes is read and thrown away
    lingering,  // over; waiting for the peer to read what we said
    gone,
  };

  // net::TcpStream::Handler
  void on_stream_bytes(ByteSpan bytes) override;
  ByteSpan stream_gap() noexcept override;
  void on_stream_gap(size_t n, ByteSpan rest) override;
  void on_stream_writable() override { flush_.request(); }
  void on_stream_end(int error) override;
  // net::TlsMachine::Sink
  bool on_tls_plaintext(ByteSpan plaintext) override;
  // ws::Handler
  void on_message(bool binary, ByteSpan message) override;
  void on_close(const CloseEvent& event) override;
  // session::ResponderHandler
  bool on_static_key(const PublicKey& key) override;
  const SecretKey* shared_secret(const PublicKey& own, const PublicKey& theirs) override;
  void on_identity(const session::Identity& identity) override;
  uint64_t on_confirmed(Reason* why) override;
  void on_packets(std::span<const PacketView> batch) override;
  void on_drop(Drop drop, uint64_t count) override;
  void on_rtt(Duration sample) override;
  void on_liveness(session::Liveness liveness) override;
  void on_close(const session::CloseInfo& info) override;

  // What a callback of the loop's does, with memory running out as the end of this connection alone.
  template <class Fn>
  void guarded(Fn&& fn) noexcept;
  void take_bytes(ByteSpan bytes);
  void end_of_stream(int error);
  void seek_admission();
  void take_over(AdoptedClient client);
  size_t read_proxy_header(ByteView bytes);
  void on_proxy_header();
  void on_local_header();
  void expect_client();
  bool admit();
  bool expect_upgrade(Duration within, UpgradeServer::Purpose purpose);
  void on_plain(ByteSpan bytes);
  void read_upgrade(ByteSpan& bytes);
  bool settle_client();
  void start_session();
  void after_receive();
  void arm_timer();
  void on_timer();
  void flush();
  Outlet::Left write_out();
  void say_goodbye();
  // The end. `linger`: the peer gets a moment to read what was said.
  void finish(Reason reason, const std::string& detail = {}, bool linger = false) noexcept;
  bool may_linger() const noexcept;
  void bury() noexcept;
  Time now() const { return around_.loop.now(); }

  WsListener& listener_;
  const Surroundings& around_;
  session::Connection connection_;
  std::unique_ptr<net::TcpStream> stream_;
  std::unique_ptr<proxyproto::Parser> proxy_;
  std::unique_ptr<net::TlsMachine> tls_;
  std::unique_ptr<UpgradeServer> upgrade_;
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<session::Responder> responder_;
  Outlet outlet_;
  net::TurnEnd flush_;
  net::Timer timer_;
  std::unique_ptr<ServerConnection> next_dead_;  // WsListener's
  Bytes waiting_handshake_;                      // message 1 that waits for the budget; at most kMaxInitiation
  Time stage_deadline_ = kNever;
  std::optional<Duration> held_;  // what is left of it, while the host is asked
  uint64_t session_ = 0;
  uint64_t bytes_in_ = 0;
  uint64_t messages_in_ = 0;
  size_t discarded_ = 0;
  Stage stage_ = Stage::proxy_header;
  bool local_header_ = false;
  bool client_unknown_ = false;  // an HTTP header has yet to name the client
  bool reported_ = false;        // Admission::on_closed was called
  bool silent_ = false;
  bool counted_lingering_ = false;
};

}  // namespace smartvpn::ws
