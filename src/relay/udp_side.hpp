// What a worker has of UDP: its listeners, the flows of all of them, and what these share. On its worker's loop only.
#pragma once

#include <map>
#include <vector>

#include "net/tcp_listener.hpp"
#include "relay/udp_flow.hpp"
#include "relay/udp_listener.hpp"

namespace smartvpn::relay {

class Worker;

class UdpSide {
 public:
  // Flows of a worker where `limits.connections` sets no limit: each has a socket.
  static constexpr size_t kMostFlows = 16384;
  // Of datagrams that wait for the name of their target, in all.
  static constexpr size_t kMaxHeldBytes = 4 << 20;

  // `worker`, with loop and resolver, outlives it.
  explicit UdpSide(Worker& worker);
  ~UdpSide();
  UdpSide(const UdpSide&) = delete;
  UdpSide& operator=(const UdpSide&) = delete;

  // For its worker, which has members of the same names -------------------------------------------------------------
  Result<void> prepare(const SocketPlan& socket, net::PortSharing sharing, BoundPorts& ports);
  void forget_prepared() noexcept;
  // A socket that the plan does not have takes no new flows, and is closed when the last flow through that port has
  // ended, of any worker: a client's datagrams have no other way.
  void commit(const RoutingPtr& routing);
  void drain();
  bool close_one(uint64_t id, Reason why);
  void close_all(Reason why);
  void settle();
  void list(std::vector<ConnectionInfo>& out);
  // Nothing that still goes on, in this worker or through its sockets.
  bool idle() const noexcept { return table_.size() == 0 && lingering_.empty(); }
  bool listens_at(const inet::Endpoint& at) const noexcept;
  const UdpDrops& drops() const noexcept { return drops_; }
  void tick() { names_.prune(); }

  // For its listeners and flows -------------------------------------------------------------------------------------
  Worker& worker() noexcept { return worker_; }
  UdpFlowTable& table() noexcept { return table_; }
  TargetNames& names() noexcept { return names_; }
  DatagramBatch& batch() noexcept { return batch_; }
  const std::shared_ptr<net::UdpBuffers>& buffers();
  void drop(UdpDrop why, size_t datagrams = 1) noexcept { drops_.count(why, datagrams); }
  // Of kMaxHeldBytes; true is followed by give_back().
  bool lend(size_t bytes) noexcept;
  void give_back(size_t bytes) noexcept { held_bytes_ -= bytes; }
  // A place in the table and within the relay's limit, by ending who has waited longest for a first answer if need be.
  bool make_room(FlowSeat& seat);
  // Destroyed when this turn is over.
  void retire(UdpFlow& flow) noexcept;
  void end_flows_of(const UdpListener& listener);

 private:
  using Listeners = std::map<SocketKey, std::unique_ptr<UdpListener>>;
  UdpListener* lingering_at(const SocketKey& key) noexcept;
  void let_linger(std::unique_ptr<UdpListener> listener);
  bool displace_one();
  void bury();

  Worker& worker_;
  std::shared_ptr<net::UdpBuffers> buffers_;  // null before the first socket
  TargetNames names_;
  DatagramBatch batch_;
  UdpDrops drops_;
  size_t held_bytes_ = 0;
  uint64_t next_number_ = 1;
  bool preparing_ = false;  // sockets that linger stay until it is decided
  net::TurnEnd bury_;
  net::Timer look_again_;  // for flows of other workers
  Listeners listening_, prepared_;
  std::vector<std::unique_ptr<UdpListener>> lingering_;
  UdpFlowTable table_;
  std::unique_ptr<UdpFlow> retired_;  // the first of them
};

}  // namespace smartvpn::relay
