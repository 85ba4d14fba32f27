// A flow's place within the limits, where it counts as a connection of its client's, and among those of its port. Given
// back when the seat goes.
#pragma once

#include <string>

#include "net/loop.hpp"
#include "relay/connection_facts.hpp"
#include "relay/routing.hpp"
#include "relay/shared_state.hpp"

namespace smartvpn::relay {

class FlowSeat {
 public:
  // `shared` and `loop` outlive it.
  FlowSeat(SharedState& shared, net::Loop& loop) noexcept : shared_(&shared), loop_(&loop) {}
  FlowSeat(FlowSeat&& other) noexcept;
  FlowSeat& operator=(FlowSeat&&) = delete;
  ~FlowSeat() { leave(); }

  // Once. Whether `facts` may have a flow by this plan; then `route` is the one, and enter_relay() is still to be
  // asked.
  Reason enter(const ConnectionFacts& facts, const RelayPlan& plan, const Route** route);
  // The limit of all together, last: only for one who could stay does somebody else have to go.
  bool enter_relay();
  // It goes through this port.
  void enter_port(const SocketKey& port);
  void leave() noexcept;

 private:
  SharedState* shared_;
  net::Loop* loop_;
  inet::IpAddress address_;  // none: not in
  std::string route_;        // "": not in
  bool in_relay_ = false;
  std::optional<SocketKey> port_;
};

}  // namespace smartvpn::relay
