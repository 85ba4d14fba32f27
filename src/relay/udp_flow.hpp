// One client's datagrams to one target and back: a socket of its own, connected to the target, so that answers come
// back to it. It ends when none has passed either way for `timeouts.udp_idle_ms`, or when the target's machine says
// that nobody takes them; then the next datagram begins another, at the next target. On its worker's loop only.
//
// Headers (haproxy doc/proxy-protocol.txt, revision 2026/04/27). Where the route says so, each datagram to the target
// has one in front, the same for the whole flow: whose first datagram began it, and where that was going; UNIQUE_ID is
// a connection's, and there is none. What the target answers goes to the peer from which the client's datagrams come,
// bare: the specification has headers put there by who asks for a connection, section 2 wants nothing sent back by who
// receives them, and says no more of answers to datagrams. The peer knows whose they are by the socket on which it gets
// them, as here; so a target that answers with a header has it handed on as it is, and nobody's address is taken from
// it.
#pragma once

#include "net/timer.hpp"
#include "net/udp_socket.hpp"
#include "relay/connection_facts.hpp"
#include "relay/datagram_batch.hpp"
#include "relay/flow_seat.hpp"
#include "relay/target_names.hpp"
#include "relay/udp_flow_table.hpp"

namespace smartvpn::relay {

class UdpListener;
class UdpSide;

class UdpFlow final : public UdpFlowTable::Member, private net::UdpHandler, private TargetNames::Waiter {
 public:
  // Of what comes before the target's name is known, so much is kept.
  static constexpr size_t kMaxHeld = 4;

  struct Entry {  // how it has come in
    RoutingPtr routing;
    const Route* route = nullptr;  // in `routing`
    FlowSeat seat;
    ConnectionFacts facts;
  };
  // `side` and `listener` outlive it.
  UdpFlow(UdpSide& side, UdpListener& listener, const FlowKey& key, Entry&& entry);
  ~UdpFlow() override;

  // Once, first, when it is in the table. May end the flow.
  void begin();
  void close(Reason why) { end(why); }
  void settle();
  ConnectionInfo info() const;
  uint64_t id() const noexcept { return facts_.id; }
  bool over() const noexcept { return stage_ == Stage::over; }
  UdpListener& listener() const noexcept { return listener_; }

  // For its listener ------------------------------------------------------------------------------------------------
  // The client was heard at this address of ours; answers leave from there.
  void heard(const net::Datagram& datagram) noexcept;
  // Whether these are the bytes of a header that was read and found to be this flow's.
  bool knows_header(ByteView header) const noexcept;
  void learn_header(ByteView header);
  // Before that, datagrams are held.
  bool relaying() const noexcept { return stage_ == Stage::relaying; }
  void hold(ByteView payload, uint8_t ecn);
  ByteView head() const noexcept { return head_; }
  // Those that were added with head(). May end the flow.
  void send(DatagramBatch& batch);

  // A list of those that have ended, which needs no memory.
  void set_next(std::unique_ptr<UdpFlow> next) noexcept { next_ = std::move(next); }
  std::unique_ptr<UdpFlow> take_next() noexcept { return std::move(next_); }

 private:
  enum class Stage : uint8_t { connecting, relaying, over };
  static constexpr size_t kMaxKnownHeader = 512;  // a longer one is read each time
  struct Held {
    Bytes payload;
    uint8_t ecn = 0;
  };

  // udp_flow.cpp: its target
  void connect_next();
  void on_name(const TargetNames::Found& found) override;
  void connect_to(const std::vector<inet::Endpoint>& addresses);
  void join(std::unique_ptr<net::UdpSocket> socket);
  std::optional<Bytes> make_head() const;
  void target_failed(const std::string& detail);
  void release_held();
  void on_timer();
  ConnectionInfo last_info() const noexcept;
  void end(Reason why);

  // udp_flow_traffic.cpp
  void on_datagrams(std::span<net::Datagram> batch) override;
  void on_udp_writable() override {}
  void on_udp_error(const Error& error) override;
  void on_udp_refused(int error) override;
  void on_first_answer();

  UdpSide& side_;
  UdpListener& listener_;
  const RoutingPtr routing_;
  const Route* const route_;
  const std::shared_ptr<RouteState> route_state_;
  const std::shared_ptr<TargetSet> targets_;
  FlowSeat seat_;
  ConnectionFacts facts_;
  Stage stage_ = Stage::connecting;
  bool admitted_ = false, answered_ = false, in_target_ = false;
  Bytes known_header_, head_;
  std::vector<Held> held_;
  inet::IpAddress answer_from_;
  uint32_t answer_interface_ = 0;
  uint64_t tried_ = 0;  // bit n: target n
  size_t target_ = 0;
  bool asked_name_ = false;
  std::unique_ptr<net::UdpSocket> socket_;
  uint64_t bytes_in_ = 0, bytes_out_ = 0, settled_in_ = 0, settled_out_ = 0;
  Time last_datagram_, stage_deadline_ = kNever, lifetime_ends_ = kNever;
  net::Timer timer_;
  std::unique_ptr<UdpFlow> next_;
};

}  // namespace smartvpn::relay
