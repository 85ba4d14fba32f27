// One peer of the device: its machine, where it is, and the session it has in the server, to which it is the Link. What
// only a connected peer needs is held apart, so that a configured one stays small.
#pragma once

#include <deque>

#include "net/timer.hpp"
#include "session/send_queue.hpp"
#include "transport/wireguard/device.hpp"
#include "transport/wireguard/path.hpp"
#include "transport/wireguard/sender.hpp"

namespace smartvpn::wireguard {

class Peer final : public PeerMachine, public session::Link {
 public:
  // `device` outlives the peer.
  Peer(Device::Impl& device, const PeerSettings& settings);
  ~Peer() override;

  void change(const PeerSettings& settings);
  uint64_t client_number() const noexcept { return client_number_; }
  uint64_t session() const noexcept { return live_ ? live_->session : 0; }
  uint64_t connection() const noexcept { return live_ ? live_->connection.id : 0; }
  const Path* path() const noexcept { return path_.get(); }
  PeerFigures peer_figures() const;

  bool stamp_listed = false;  // in the device's list of timestamps that the store has not

  // --- Handshakes. An initiation of the peer's has been accepted by the machine: may it have a session?
  void initiation_accepted(const Path& from) noexcept;
  // One that was not even taken, since it may not come from there.
  void turn_away(const Path& from, Reason reason) noexcept;
  void decide(const session::IdentityVerdict& verdict) noexcept;
  void response_received(ByteView message, const Path& from) noexcept;
  // What the machine wants done.
  void act(const Actions& actions) noexcept;

  // --- Data. False: nothing may be opened that came from there.
  bool may_come_from(const Path& from) noexcept;
  // At least one message opened; `outer`: bytes of all that did. False: there is no session for what was in them.
  bool authentic(Keypair& keys, const Path& from, bool payload, uint64_t messages, uint64_t outer);
  void drop(Drop drop, uint64_t packets) noexcept;
  // Sealed and sent.
  void sent(Keypair& keys, bool payload, uint64_t messages, uint64_t outer) noexcept;
  void source_is_gone() noexcept;
  // A packet for a client without a session. See Device::wake.
  Drop wake(Packet&& packet) noexcept;
  // What a gate or a full socket has held back goes on, as far as both let it. True: something is left that more room
  // in the batch, or keys, would help.
  bool drain() noexcept;
  // Where its part of a batch goes now.
  SendBatch::Target target() noexcept;

  // As end(), but the handshake under way goes on.
  void leave(Reason reason) noexcept;
  // Ends the session, or what would have become one; on_closed comes before it returns.
  void end(Reason reason) noexcept;

  // session::Link
  Drop send(Packet&& packet) override;
  void set_gate(session::SendGate* gate) noexcept override;
  void trim() noexcept override;
  void sift(const std::function<bool(const Packet&)>& keep) noexcept override;
  bool takes_super_packets() const override { return true; }
  uint16_t mtu() const override;
  void close(Reason reason) noexcept override { end(reason); }
  session::LinkFigures figures() const override;

 private:
  // From the first accepted handshake to the end of what came of it.
  struct Live {
    session::Connection connection;
    Path initiation;              // where the response to the peer's last initiation goes
    std::unique_ptr<Path> place;  // for the path of who was never heard of: confirming a session needs no memory
    uint64_t session = 0;
    bool waits_for_verdict = false;
    bool by_us = false;  // the handshake that waits for a verdict was begun here and is complete
    bool silent = false;
    Time tentative_until = kNever;
    Time last_heard{};
    session::SendGate* gate = nullptr;
    std::unique_ptr<session::SendQueue> queue;  // what a gate or a full socket holds back
    uint64_t bytes_in = 0, bytes_out = 0, messages_in = 0, messages_out = 0;
  };

  Time now() const noexcept;
  std::unique_ptr<Path> configured_path() const;
  void take_answer(ByteView message, const Path& from);
  Reason open_connection(const Path& from);
  void ask_admission(const Path& from);
  void refuse(Reason reason) noexcept;
  void respond() noexcept;
  void confirm(const Path& from, bool by_data);
  void move_to(const Path& from);
  void initiate() noexcept;
  void want_keys() noexcept;
  void send_keepalive() noexcept;
  void flush_waiting() noexcept;
  void give_up_waiting() noexcept;
  void stops_waiting(const Packet& packet) noexcept;
  session::SendQueue& queue();
  Drop enqueue(Packet&& packet);
  void on_timer();
  void arm() noexcept;
  Time deadline() const noexcept;
  Time session_deadline() const noexcept;

  Device::Impl& device_;
  uint64_t client_number_ = 0;
  std::optional<inet::Endpoint> configured_;
  std::unique_ptr<Path> path_;  // null: never heard of
  std::unique_ptr<Live> live_;
  const Live* leaving_ = nullptr;                // while its end is told
  std::unique_ptr<std::deque<Packet>> waiting_;  // for a session
  uint64_t total_in_ = 0, total_out_ = 0;        // of sessions that are over
  int64_t last_handshake_ms_ = 0;
  PeerPart part_{*this};
  net::Timer timer_;
  friend class Device;
};

}  // namespace smartvpn::wireguard
