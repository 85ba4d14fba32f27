// One attempt to reach the server, from the name look-up to the last byte: resolve, connect, PROXY
// header, TLS, upgrade, native handshake, session. The mirror image of ws::ServerConnection.
#pragma once

#include <memory>
#include <string>

#include "config/tunnel_config.hpp"
#include "net/resolver.hpp"
#include "net/tcp_connector.hpp"
#include "net/timer.hpp"
#include "session/initiator.hpp"
#include "transport/ws/upgrade_client.hpp"
#include "transport/ws/ws_outlet_link.hpp"

namespace smartvpn::tunnel {

// How an attempt or a session ended, and what may follow.
struct Ending {
  Reason reason = Reason::none;
  std::string detail;
  session::Reconnect reconnect = session::Reconnect::backoff;
  uint32_t retry_after_s = 0;
};

class ClientConnection final : private session::InitiatorHandler,
                               private net::TcpStream::Handler,
                               private net::TlsMachine::Sink,
                               private ws::Handler {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // Before the first byte leaves for one of these.
    virtual void on_dialling(const std::vector<inet::Endpoint>& addresses) = 0;
    virtual void on_connected(const session::SessionParameters& parameters) = 0;
    virtual void on_reconfigured(const session::SessionParameters& parameters) = 0;
    virtual void on_packets(std::span<const PacketView> batch) = 0;
    virtual void on_drop(Drop drop, uint64_t count) = 0;
    virtual void on_rtt(Duration sample) = 0;
    virtual void on_silence(bool silent) = 0;
    // Once; nothing follows. The connection must not be destroyed inside the call.
    virtual void on_ended(const Ending& ending) noexcept = 0;
  };
  struct Parts {
    net::Loop& loop;
    crypto::AeadEngine& aead;
    PacketPool& pool;
    Rng& rng;
    const config::TunnelConfig& config;
    std::shared_ptr<const crypto::KeyPair> key;
    PublicKey server_key;                        // whom to expect
    std::shared_ptr<const net::TlsContext> tls;  // null for ws://
    net::Resolver* resolver;                     // null when the URL has an address
    std::vector<inet::Endpoint> last_known;      // what the name meant before; empty: nothing is known
    bool resolve_first = true;                   // false: dial the last known addresses without asking
  };

  ClientConnection(const Parts& parts, Owner& owner, std::vector<inet::IpAddress> wanted_addresses);
  ~ClientConnection() override;

  void begin();
  Drop send(Packet&& packet);
  bool takes_super_packets() const { return initiator_ && initiator_->peer_takes_super_packets(); }
  uint16_t mtu() const { return initiator_ ? initiator_->mtu() : 0; }
  // Tells the server and ends; on_ended follows with this reason.
  void close(Reason reason);
  // All that had to be said is out (or can never be).
  bool finished() const { return ended_ && (!stream_ || !stream_->is_open() || said_all_); }
  const std::optional<inet::Endpoint>& server_addr() const { return server_addr_; }
  uint64_t bytes_in() const { return bytes_in_; }
  uint64_t bytes_out() const { return outlet_.bytes_out(); }

 private:
  static constexpr Duration kStepTimeout = seconds(10);
  enum class Stage : uint8_t { resolving, connecting, tls, upgrade, open, over };

  void on_stream_bytes(ByteSpan bytes) override;
  ByteSpan stream_gap() noexcept override;
  void on_stream_gap(size_t n, ByteSpan rest) override;
  void on_stream_writable() override { flush_.request(); }
  void on_stream_end(int error) override;
  bool on_tls_plaintext(ByteSpan plaintext) override;
  void on_message(bool binary, ByteSpan message) override;
  void on_close(const ws::CloseEvent& event) override;
  void on_configured(const session::SessionParameters& parameters) override;
  void on_confirmed() override;
  void on_reconfigured(const session::SessionParameters& parameters) override;
  void on_packets(std::span<const PacketView> batch) override { owner_.on_packets(batch); }
  void on_drop(Drop drop, uint64_t count) override { owner_.on_drop(drop, count); }
  void on_rtt(Duration sample) override { owner_.on_rtt(sample); }
  void on_liveness(session::Liveness liveness) override { owner_.on_silence(liveness != session::Liveness::alive); }
  void on_close(const session::CloseInfo& info) override;

  // What a callback of the loop's does, with memory running out as the end of this attempt alone.
  template <class Fn>
  void guarded(Fn&& fn) noexcept;
  void take_bytes(ByteSpan bytes);
  void not_resolved(const std::string& why);
  void connect(std::vector<inet::Endpoint> addresses);
  void on_connected(std::unique_ptr<net::TcpStream> stream);
  void send_proxy_header();
  void write_head(ByteView head, net::TlsMachine* tls);
  void start_upgrade();
  void read_upgrade(ByteSpan& bytes);
  void start_session();
  void on_plain(ByteSpan bytes);
  void after_receive();
  void arm_timer();
  void on_timer();
  void flush();
  ws::Outlet::Left write_out();
  void say_goodbye();
  void end(Reason reason, const std::string& detail) noexcept;
  void end(const Ending& ending) noexcept;
  Time now() const { return parts_.loop.now(); }

  const Parts parts_;
  Owner& owner_;
  const std::vector<inet::IpAddress> wanted_addresses_;
  uint64_t lookup_ = 0;
  std::unique_ptr<net::TcpConnector> connector_;
  std::unique_ptr<net::TcpStream> stream_;
  std::unique_ptr<net::TlsMachine> tls_;
  std::optional<ws::UpgradeClient> upgrade_;
  std::unique_ptr<ws::Machine> machine_;
  std::unique_ptr<session::Initiator> initiator_;
  ws::Outlet outlet_;
  net::TurnEnd flush_;
  net::Timer timer_;
  Time stage_deadline_ = kNever;
  std::optional<inet::Endpoint> server_addr_;
  uint64_t bytes_in_ = 0;
  Stage stage_ = Stage::resolving;
  bool confirmed_ = false, ended_ = false, said_all_ = false;
};

}  // namespace smartvpn::tunnel
