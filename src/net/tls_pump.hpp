// A pump where the client's TLS ends here: what was in it goes to the target in the clear, or in TLS of its own. Bytes
// are copied once, and sealed or opened. An end that does not take what it is sent stops the other from being read; an
// idle pump holds no buffer of its own. Loop thread only.
#pragma once

#include <memory>

#include "net/fd_watcher.hpp"
#include "net/pump.hpp"
#include "net/tls_machine.hpp"

namespace smartvpn::net {

class TlsPump final : public Pump {
 public:
  static constexpr size_t kMaxWaiting = 64 * 1024;  // for one end; what a read brings may come on top
  struct Options {
    bool half_open = false;  // as TcpPump's; close_notify counts as FIN, and FIN without it as well
  };

  // The client, watched for nothing yet, and our end of its TLS. The handler outlives the pump. It hears
  // on_pump_secured when the handshake is over, and on_pump_said from then on until it joins the target.
  TlsPump(Loop& loop, std::unique_ptr<FdWatcher> client, std::unique_ptr<TlsMachine> client_tls, Handler& handler);
  ~TlsPump() override;
  TlsPump(const TlsPump&) = delete;
  TlsPump& operator=(const TlsPump&) = delete;

  // Begins, with ciphertext that was read already. Callbacks come from the loop's next turn on.
  void start(Bytes first);
  // Once, after on_pump_secured. `first` goes out as it is, before anything else; then the handshake of `target_tls`,
  // if there is one. What the client has said meanwhile was kept.
  void attach(std::unique_ptr<FdWatcher> target, std::unique_ptr<TlsMachine> target_tls, Bytes first, Options options);
  // Before attach: what the client has said and was kept, of which more comes up to kMaxWaiting; valid until the next
  // turn. And whether that was all.
  ByteView said() const noexcept { return target_.held; }
  bool said_all() const noexcept { return client_.ended; }

  uint64_t bytes_from_client() const noexcept override { return from_client_; }
  uint64_t bytes_from_target() const noexcept override { return from_target_; }
  Time last_activity() const noexcept override { return last_activity_; }
  const TlsMachine& client_tls() const noexcept { return *client_.tls; }

 private:
  struct End final : FdHandler, TlsMachine::Sink {
    End(TlsPump& p, PumpSide s) : pump(p), side(s) {}
    void on_readable() override { pump.on_readable(*this); }
    void on_writable() override { pump.on_writable(*this); }
    void on_fd_error() override { pump.on_error(*this); }
    void on_hangup() override { pump.on_hangup(*this); }
    bool on_tls_plaintext(ByteSpan plaintext) override;
    // Sent, but not taken by the socket yet.
    size_t waiting() const noexcept { return plain.size() - plain_sent + (tls ? tls->pending().size() : 0); }
    bool secured() const noexcept { return !tls || tls->state() != TlsMachine::State::handshaking; }

    TlsPump& pump;
    const PumpSide side;
    std::unique_ptr<FdWatcher> watcher;  // null: not attached yet
    std::unique_ptr<TlsMachine> tls;     // null: in the clear
    Bytes plain;                         // goes out as it is, before what is sealed
    size_t plain_sent = 0;
    Bytes held;             // of the other's, until this one takes it
    bool ended = false;     // it has sent all it had to send
    bool closing = false;   // the other has: closed for writing behind what waits
    bool closed = false;    // done
    bool blocked = false;   // the socket is full
    bool said_fin = false;  // seen without reading
  };
  End& other(const End& end) noexcept { return &end == &client_ ? target_ : client_; }
  void on_readable(End& end);
  void on_writable(End& end);
  void on_error(End& end);
  void on_hangup(End& end);
  void take_in(End& end, ByteSpan bytes);
  void feed(End& end, ByteView ciphertext);
  void give(End& to, ByteView plaintext);
  void seal(End& to, ByteView plaintext);
  void release_held(End& to);
  void came_to_end(End& end);
  void flush(End& end);
  bool send_plain(End& end);
  bool send_sealed(End& end);
  bool sent(End& end, ssize_t n);
  void close_writing(End& end);
  void settle();
  void update(End& end) noexcept;
  void fail(End& end, int error);
  void fail_tls(End& end);
  void finish(const PumpEnd& end);
  void say_goodbye(End& end) noexcept;

  Loop& loop_;
  Handler& handler_;
  Options options_;
  End client_, target_;
  uint64_t from_client_ = 0, from_target_ = 0;
  Time last_activity_;
  Bytes first_;  // ciphertext that start() was given
  TurnEnd begin_;
  bool secured_told_ = false, over_ = false, orderly_ = false, anybody_ended_ = false;
  PumpSide first_ended_ = PumpSide::client;
};

}  // namespace smartvpn::net
