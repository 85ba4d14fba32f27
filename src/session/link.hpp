// What a transport and the server say to each other once a session lives. The transport implements
// `Link` (one per carrier connection), the server implements `Host`. Shard thread only; neither
// blocks, and a packet is moved, never copied, across this line.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "base/clock.hpp"
#include "base/packet.hpp"
#include "base/reason.hpp"
#include "session/admission.hpp"
#include "session/send_gate.hpp"

namespace smartvpn::session {

// What a carrier knows about itself, read when somebody asks.
struct LinkFigures {
  uint64_t outer_bytes_in = 0, outer_bytes_out = 0;        // on the socket: TLS, WebSocket and all
  uint64_t outer_messages_in = 0, outer_messages_out = 0;  // of the native protocol
  uint64_t queued_bytes = 0;                               // inner packets waiting for the socket
  Time last_heard{};                                       // when something of the peer's last opened
  Duration rtt_latest{}, rtt_smoothed{}, rtt_min{}, jitter{};
  uint64_t rtt_samples = 0;
};

// What of a grant may change while a session lives.
struct NetworkUpdate {
  std::vector<inet::Cidr> routes;
  std::vector<inet::IpAddress> dns;
};

class Link {
 public:
  virtual ~Link() = default;
  // Queues one packet towards the client. `none`, or why it was dropped.
  virtual Drop send(Packet&& packet) = 0;
  // Limits what goes to the client; null: no more. It outlives the link or a call with another one.
  virtual void set_gate(SendGate* gate) noexcept = 0;
  // Memory is scarce: gives up what waits above this session's part.
  virtual void trim() noexcept = 0;
  // The rules have changed: drops what waits, unless `keep`, which must not throw, says yes to it.
  virtual void sift(const std::function<bool(const Packet&)>& keep) noexcept = 0;
  virtual bool takes_super_packets() const = 0;
  virtual uint16_t mtu() const = 0;
  // Tells the peer (as far as the protocol says anything) and closes once that is out.
  // Admission::on_closed follows, later, with this reason.
  virtual void close(Reason reason) noexcept = 0;
  // Tells the peer what it should do differently from now on, where the protocol can say so.
  virtual void update(const NetworkUpdate&) noexcept {}
  virtual LinkFigures figures() const = 0;
};

class Host {
 public:
  virtual ~Host() = default;
  virtual Admission& admission() = 0;
  // As Admission::on_confirmed; `link` stays valid until Admission::on_closed.
  virtual uint64_t on_confirmed(const Connection& connection, Link& link, Reason* why) = 0;
  // Inner packets of one session, opened and authenticated, not yet looked at. Views last for the call.
  virtual void on_packets(uint64_t session, std::span<const PacketView> batch) = 0;
  virtual void on_drop(uint64_t session, Drop drop, uint64_t packets) = 0;
  virtual void on_rtt(uint64_t session, Duration rtt, Time now) = 0;
  // A datagram carrier's session goes on at other addresses; a packet from there was authentic.
  virtual void on_roamed(uint64_t session, const Connection& connection) = 0;
  // A packet that Device::wake of a carrier has kept until the client's session began; judged as if it came now.
  virtual void on_awaited(uint64_t session, Packet&& packet) = 0;
  // The peer has not answered for a while (true), or answers again (false).
  virtual void on_silence(uint64_t session, bool silent) = 0;
  virtual void on_log(int level, std::string text) = 0;
  virtual bool draining() const = 0;
};

}  // namespace smartvpn::session
