// One thread of the relay: a loop with its listeners and its connections. What the host asks comes as commands that run
// here; before run() and after it, the thread that owns the worker is its loop's.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "net/resolver.hpp"
#include "net/tcp_listener.hpp"
#include "relay/address_book.hpp"
#include "relay/connection.hpp"
#include "relay/shared_state.hpp"

namespace smartvpn::relay {

class UdpSide;

class Worker {
 public:
  // `shared` outlives it.
  static Result<std::unique_ptr<Worker>> create(SharedState& shared, PlanPtr plan);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // For the relay -------------------------------------------------------------------------------------------------
  // Opens what `plan` wants and is not open yet, without accepting. `ports`: where the first worker has bound what the
  // kernel chose; it fills it, and the others join there. On failure nothing is open that was not before.
  using Ports = BoundPorts;
  Result<void> prepare(const RelayPlan& plan, net::PortSharing sharing, Ports& ports);
  void forget_prepared() noexcept;
  // From now on this plan; sockets that it does not have are closed, those prepared accept.
  void commit(PlanPtr plan);
  // No new connections; when those that are there have ended, or are ended because the time is over, the loop stops. A
  // shorter time may follow.
  void drain(Duration longest);
  // False: no such connection here.
  bool close_one(uint64_t id, Reason why);

  struct Share {  // of a snapshot
    RelayCounters total;
    RelayRates rates;
    std::array<uint64_t, kReasonCount> rejections{}, ended{};
    std::vector<RouteStats> routes;
    std::unordered_map<inet::IpAddress, AddressStats, inet::IpAddressHash> addresses;
    AddressStats other_addresses;
    UdpCounters udp;
    UdpDrops udp_drops;
  };
  void add_to(Share& sum);
  void list(std::vector<ConnectionInfo>& out);

  net::Loop& loop() noexcept { return *loop_; }
  void abandon_after_fork() noexcept;

  // For its connections and flows
  // ---------------------------------------------------------------------------------------------
  SharedState& shared() noexcept { return shared_; }
  net::PipePool& pipes() noexcept { return pipes_; }
  net::Resolver& resolver() noexcept { return *resolver_; }
  // Whether that is a socket of this relay's.
  bool listens_at(const inet::Endpoint& at) const noexcept;
  void accepted(const ConnectionFacts& facts);
  void moved(const ConnectionFacts& facts, uint64_t in, uint64_t out) noexcept;
  void relayed() noexcept { ++total_.connections_relayed; }
  void target_failure() noexcept { ++total_.target_failures; }
  // `refused`: sent away by us before it was relayed; `admitted`: accepted() was called.
  void ended(const ConnectionFacts& facts, const ConnectionInfo& info, Reason why, bool refused,
             bool admitted) noexcept;
  void target_changed(const RouteState& route, const TargetSet& set, size_t target, bool up,
                      const std::string& detail) noexcept;
  // Destroyed when this turn is over.
  void retire(Connection& connection) noexcept;

  // For its side of UDP ---------------------------------------------------------------------------------------------
  void flow_came() noexcept {
    ++total_.connections_total;
    ++udp_counters_.udp_flows_total;
  }
  void flow_opened() noexcept {
    ++total_.connections_open;
    ++udp_counters_.udp_flows_open;
  }
  void flow_closed() noexcept {
    --total_.connections_open;
    --udp_counters_.udp_flows_open;
  }
  void datagrams_sent(size_t in, size_t out) noexcept {
    udp_counters_.udp_datagrams_in += in;
    udp_counters_.udp_datagrams_out += out;
  }
  void flows_buried() noexcept;
  void listening(uint32_t listener, config::RelayProtocol protocol, const inet::Endpoint& at) noexcept;

 private:
  struct Listening {
    uint32_t listener = 0;  // index in the plan
    std::unique_ptr<net::TcpListener> socket;
  };
  Worker(SharedState& shared, std::unique_ptr<net::Loop> loop, size_t addresses);
  Result<std::unique_ptr<net::TcpListener>> listen(const SocketPlan& socket, net::PortSharing sharing,
                                                   const Ports& ports);
  void on_socket(const SocketKey& key, net::Fd socket, net::Fd& spare, const inet::Endpoint& peer);
  void on_tick();
  void bury();
  void close_all(Reason why);
  bool is_first(const ConnectionFacts& facts, Reason why) noexcept;
  void report_rejections(Time now) noexcept;
  template <class Fill>
  void tell(telemetry::EventType type, Fill&& fill) noexcept;

  SharedState& shared_;
  std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<net::Resolver> resolver_;
  net::PipePool pipes_;
  RoutingPtr routing_;
  std::map<SocketKey, Listening> listening_, prepared_;
  std::unique_ptr<UdpSide> udp_;
  AddressBook addresses_;
  RelayCounters total_;
  UdpCounters udp_counters_;
  RateWindows windows_;
  std::array<uint64_t, kReasonCount> rejections_{}, ended_{};
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::unique_ptr<Connection> retired_;  // the first of them
  bool draining_ = false;
  net::TurnEnd bury_;
  net::Timer tick_, drained_;
};

}  // namespace smartvpn::relay
