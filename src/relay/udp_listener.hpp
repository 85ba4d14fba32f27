// A UDP socket of the relay's: whose datagrams come in, which flow each belongs to, and what of them goes no further.
// On its worker's loop only.
//
// A datagram has no connection that would remember who sent it, so each is judged by the plan that the listener has
// now: whether a header must be in front, and whom it names. Its flow goes on by the plan that it began with.
#pragma once

#include "net/udp_socket.hpp"
#include "relay/connection_facts.hpp"
#include "relay/routing.hpp"
#include "relay/udp_drops.hpp"
#include "relay/udp_flow_table.hpp"

namespace smartvpn::relay {

class UdpFlow;
class UdpSide;

class UdpListener final : private net::UdpHandler {
 public:
  // Reads nothing before it has a plan. `number`: that no other of the worker's has had.
  static Result<std::unique_ptr<UdpListener>> open(UdpSide& side, const SocketKey& key, uint64_t number,
                                                   const net::UdpOptions& options);
  ~UdpListener() override;

  const SocketKey& key() const noexcept { return key_; }
  const inet::Endpoint& local() const noexcept { return socket_->local(); }

  // From now on it is this one of the plan's listeners.
  void serve(RoutingPtr routing, uint32_t listener);
  bool serving() const noexcept { return serving_; }
  // No new flows.
  void linger() noexcept { serving_ = false; }

  // Its flows, which begin and end.
  void flow_ended() noexcept { --flows_; }
  size_t flows() const noexcept { return flows_; }
  // To a client; as UdpSocket::send().
  size_t answer(std::span<net::OutDatagram> batch) noexcept { return socket_->send(batch); }

 private:
  UdpListener(UdpSide& side, const SocketKey& key, uint64_t number) : side_(side), key_(key), number_(number) {}
  void on_datagrams(std::span<net::Datagram> batch) override;
  void on_udp_writable() override {}
  void on_udp_error(const Error& error) override;

  void take(ByteView datagram, const net::Datagram& from, ListenerPlan::Header expected);
  UdpFlow* flow_of_direct(ByteView datagram, const net::Datagram& from);
  UdpFlow* flow_of_header(ByteView datagram, const net::Datagram& from, ByteView* payload);
  UdpFlow* find_flow(const FlowKey& key) const noexcept;
  UdpFlow* begin_flow(const FlowKey& key, const net::Datagram& from, std::unique_ptr<proxyproto::Header> header);
  void refuse(const net::Datagram& from, const std::optional<inet::Endpoint>& real, Reason why, UdpDrop drop);
  ConnectionFacts facts_of(const net::Datagram& from) const;
  const ListenerPlan& plan() const noexcept { return routing_->plan->listeners[listener_]; }
  void flush();

  UdpSide& side_;
  const SocketKey key_;
  const uint64_t number_;
  RoutingPtr routing_;
  uint32_t listener_ = 0;  // in the plan
  bool serving_ = false;
  size_t flows_ = 0;
  UdpFlow* sending_ = nullptr;  // whose datagrams are in the batch
  std::unique_ptr<net::UdpSocket> socket_;
};

}  // namespace smartvpn::relay
