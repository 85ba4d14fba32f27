// Two connected TCP sockets joined: what comes from one goes to the other, until one ends. Bounded: a side that does
// not read stops the other from being read. An idle pump holds neither a pipe nor a buffer. Loop thread only.
#pragma once

#include <memory>

#include "net/fd_watcher.hpp"
#include "net/pump.hpp"
#include "net/pump_direction.hpp"

namespace smartvpn::net {

class TcpPump final : public Pump {
 public:
  using Handler = Pump::Handler;
  struct Options {
    bool half_open = false;   // false: FIN of one side ends both, behind its last byte
    bool look_first = false;  // what the client says first is shown before it is moved
    bool splice = true;
  };

  // Both are watched for nothing when they are handed over. The handler outlives the pump.
  TcpPump(Loop& loop, std::unique_ptr<FdWatcher> client, std::unique_ptr<FdWatcher> target, PipePool& pipes,
          Handler& handler, Options options);
  ~TcpPump() override;
  TcpPump(const TcpPump&) = delete;
  TcpPump& operator=(const TcpPump&) = delete;

  // Begins, with bytes that go first. With look_first: `looked_at` are the client's, fewer than kLook, of which it is
  // not known yet whether they may be moved. No callback comes from inside.
  void start(Bytes to_target, Bytes looked_at = {});

  uint64_t bytes_from_client() const noexcept override { return from_client_.delivered(); }
  uint64_t bytes_from_target() const noexcept override { return from_target_.delivered(); }
  Time last_activity() const noexcept override { return last_activity_; }
  bool holds_pipe() const noexcept { return from_client_.holds_pipe() || from_target_.holds_pipe(); }

 private:
  // One end: what the kernel says of its socket.
  struct End final : FdHandler {
    End(TcpPump& p, PumpSide s, std::unique_ptr<FdWatcher> w) : pump(p), side(s), watcher(std::move(w)) {}
    void on_readable() override { pump.on_source(side); }
    void on_writable() override { pump.on_sink(side); }
    void on_fd_error() override { pump.on_error(side); }
    void on_hangup() override { pump.on_hangup(side); }
    TcpPump& pump;
    const PumpSide side;
    std::unique_ptr<FdWatcher> watcher;
    bool reads = true;      // its bytes are wanted
    bool writes = false;    // its room is waited for
    bool ended = false;     // it sent FIN, and all of it is delivered
    bool said_fin = false;  // seen without reading
  };
  static PumpSide other(PumpSide side) noexcept {
    return side == PumpSide::client ? PumpSide::target : PumpSide::client;
  }
  End& end_of(PumpSide side) noexcept { return side == PumpSide::client ? client_ : target_; }
  PumpDirection& from(PumpSide side) noexcept { return side == PumpSide::client ? from_client_ : from_target_; }

  void on_source(PumpSide side);
  void on_sink(PumpSide side);
  void on_error(PumpSide side);
  void on_hangup(PumpSide side);
  void run(PumpSide source);
  void source_ended(PumpSide side);
  void look_at_client();
  void meet(PumpSide source, PumpDirection::Result result);
  void finish(const PumpEnd& end);
  void update(PumpSide side) noexcept;

  Loop& loop_;
  Handler& handler_;
  const Options options_;
  End client_, target_;
  PumpDirection from_client_, from_target_;
  Time last_activity_;
  Bytes looked_at_;  // of the client's, not yet moved
  bool looking_;
  bool over_ = false, orderly_ = false;
  bool first_ended_known_ = false;
  PumpSide first_ended_ = PumpSide::client;
};

}  // namespace smartvpn::net
