// What both ends of the native protocol share once (and after) keys exist: reading messages, acting on
// records, batching, keepalive, closing. Not used by itself: see Responder and Initiator. No sockets,
// no clock; time is an argument and never goes back. docs/PROTOCOL.md.
//
// The owner's loop:  receive() for every message the carrier completed; pull() until it gives nothing
// whenever the carrier takes bytes; tick() at next_deadline(); ask for next_deadline() again after each.
#pragma once

#include "base/rng.hpp"
#include "session/data_channel.hpp"
#include "session/handler.hpp"
#include "session/message_writer.hpp"

namespace smartvpn::session {

// What both ends may configure.
struct SessionConfig {
  Carrier carrier = Carrier::websocket;
  Timing timing;
  bool super_packets = false;              // we take them
  uint32_t max_plaintext = kMaxPlaintext;  // of a message we read, kMinPlaintextLimit or more
  size_t batch_bytes = kBatchBytes;        // of a message we write; less for datagrams
  // A dead peer ends the session. Otherwise `dead` is only reported, and the session ends when its
  // keys and the grace for new ones are over, so that a suspended laptop finds its session again.
  bool close_when_dead = false;
};

class SessionMachine {
 public:
  SessionMachine(const SessionMachine&) = delete;
  SessionMachine& operator=(const SessionMachine&) = delete;

  // One complete message from the carrier; its bytes are overwritten.
  void receive(ByteSpan message, Time now) noexcept;

  // Queues an inner packet for the peer. `none`: taken; what had to make room (perhaps this one) is
  // reported by on_drop. Otherwise why not, and on_drop is not called: session_not_ready,
  // malformed_packet (empty), bad_super_packet (the peer takes none), too_big for the peer.
  Drop send(Packet&& packet, Time now) noexcept;

  // The next complete message for the carrier, sealed now: handshakes, then control, then data; an
  // empty packet when there is nothing (yet). At least kCarrierHeadroom bytes are free in front.
  // `*reliable`: on a carrier with datagrams this one belongs on the stream.
  Packet pull(Time now, bool* reliable = nullptr) noexcept;
  // Limits the inner packets that pull() gives; control goes through. As SendQueue::set_gate.
  void set_gate(SendGate* gate) noexcept { queue_.set_gate(gate); }
  bool wants_write(Time now) const noexcept;
  // Memory has become scarce: gives up what waits above this session's part of it.
  void trim_queue() noexcept;
  // The rules have changed: what waits is dropped unless `keep` says yes to it. What is sealed has gone.
  void sift_queue(const SendQueue::Keep& keep) noexcept {
    queue_.sift(keep);
    writer_.sift(keep);
  }

  // kNever when only the peer can make something happen.
  Time next_deadline() const noexcept;
  void tick(Time now) noexcept;

  // Ends the session: an authenticated peer is told why, data that waits is dropped, on_close is
  // called before this returns. Without effect once closed.
  void close(Reason reason, Time now, uint32_t retry_after_s = 0) noexcept;
  bool closed() const noexcept { return closed_; }
  // The WebSocket close code that goes with the end: 1008 for everything a stranger did.
  uint16_t websocket_close_code() const noexcept;

  // Asks for a round trip now, besides those of the keepalive.
  void ping() noexcept { control_.add_ping(); }

  // The other side has proven its static key.
  bool authenticated() const noexcept { return authenticated_; }
  // Data may flow: message 2 was read (client), a first data message opened (server).
  bool established() const noexcept { return established_; }
  // The largest message the carrier should accept now, in bytes.
  virtual size_t max_incoming() const noexcept = 0;
  // Whether the peer takes super-packets; meaningful once authenticated.
  bool peer_takes_super_packets() const noexcept { return peer_super_packets_; }
  // The session's inner MTU; meaningful once authenticated.
  uint16_t mtu() const noexcept { return mtu_; }
  Liveness liveness() const noexcept { return keepalive_.liveness(); }
  Time last_heard() const noexcept { return keepalive_.last_heard(); }
  // Finished handshakes on this connection, rekeys included.
  uint64_t handshakes() const noexcept { return handshakes_; }
  // What waits for the carrier, as SendQueue counts it.
  size_t queued_bytes() const noexcept { return queue_.bytes(); }

 protected:
  SessionMachine(DataChannel::Role role, const SessionConfig& config, SessionHandler& handler,
                 crypto::AeadEngine& engine, PacketPool& pool, Rng& rng) noexcept;
  virtual ~SessionMachine() = default;

  // Types 1 to 3. May throw bad_alloc, which ends the session.
  virtual void on_handshake_message(const MessageHeader& header, ByteView message, Time now) = 0;
  // The first message under new keys opened, before its records act.
  virtual void on_new_keys(Time now) = 0;
  virtual void on_configuration(const SessionParameters& parameters);
  // The role's own timers. May throw bad_alloc.
  virtual Time role_deadline() const noexcept = 0;
  virtual void role_tick(Time now) = 0;

  // Puts a handshake message in front of everything.
  void queue_handshake(ByteView message, Time now) noexcept;
  [[nodiscard]] bool install_keys(KeyMaterial&& material) noexcept;
  void set_peer(uint32_t capabilities, uint32_t max_plaintext, uint16_t mtu) noexcept;
  void set_mtu(uint16_t mtu) noexcept { mtu_ = mtu; }
  uint32_t fresh_index() noexcept;
  // The carrier byte and everything else that goes into Noise's prologue; `binding` is the challenge
  // or the previous handshake's hash.
  using Prologue = std::array<uint8_t, 43>;
  Prologue prologue(std::span<const uint8_t, 32> binding) const noexcept;
  // The end. `tell`: with a close record, if there are keys for it.
  void finish(const CloseInfo& info, bool tell, Time now) noexcept;
  // The end of somebody unknown, or of a handshake: nothing is said, and nothing unsent is sent.
  void fail(Reason reason, Time now) noexcept;
  // Something that cannot happen by accident on an ordered carrier.
  void violation(Drop drop, Time now) noexcept;
  void mark_authenticated() noexcept { authenticated_ = true; }
  void mark_established(Time now) noexcept;
  // Something opened: a sign of life.
  void heard(Time now);
  size_t peer_max_plaintext() const noexcept { return peer_max_plaintext_; }

  const SessionConfig config_;
  SessionHandler& handler_;
  Rng& rng_;
  Keepalive keepalive_;
  ControlQueue control_;
  DataChannel channel_;
  uint64_t session_id_ = 0;  // stamps packets
  bool closed_ = false;

 private:
  static constexpr uint32_t kMaxUnknownFromStranger = 4;
  void receive_data(const MessageHeader& header, ByteSpan message, Time now);
  void act_on(ByteView plaintext, Time now);
  void closed_by_peer(ByteView body, Time now) noexcept;
  void keepalive_tick(Time now);
  size_t queue_room() const noexcept;

  SendQueue queue_;
  MessageWriter writer_;
  Packet outbox_;  // a handshake message; a newer one replaces an unsent one
  PacketPool& pool_;
  const bool is_initiator_;
  uint64_t handshakes_ = 0;
  uint32_t peer_max_plaintext_ = kMaxPlaintext;
  uint32_t unknown_from_stranger_ = 0;
  uint16_t mtu_ = 0;
  bool peer_super_packets_ = false, authenticated_ = false, established_ = false;
  Reason close_reason_ = Reason::none;
};

}  // namespace smartvpn::session
