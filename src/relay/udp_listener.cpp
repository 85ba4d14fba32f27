// See udp_listener.hpp.
#include "relay/udp_listener.hpp"

#include "relay/datagram_header.hpp"
#include "relay/udp_flow.hpp"
#include "relay/udp_side.hpp"
#include "relay/worker.hpp"

namespace smartvpn::relay {
namespace {

UdpDrop drop_for(Reason why) noexcept { return why == Reason::no_route ? UdpDrop::no_route : UdpDrop::limited; }

}  // namespace

Result<std::unique_ptr<UdpListener>> UdpListener::open(UdpSide& side, const SocketKey& key, uint64_t number,
                                                       const net::UdpOptions& options) {
  std::unique_ptr<UdpListener> listener(new UdpListener(side, key, number));
  net::UdpHandler& handler = *listener;
  auto socket = net::UdpSocket::open(side.worker().loop(), options, handler);
  if (!socket) return std::move(socket).error();
  listener->socket_ = std::move(*socket);
  listener->socket_->pause_reading();
  return listener;
}

UdpListener::~UdpListener() = default;

void UdpListener::serve(RoutingPtr routing, uint32_t listener) {
  routing_ = std::move(routing);
  listener_ = listener;
  serving_ = true;
  socket_->resume_reading();
}

void UdpListener::on_datagrams(std::span<net::Datagram> batch) {
  side_.batch().clear();  // what a callback without memory has left
  sending_ = nullptr;
  for (const net::Datagram& datagram : batch) {
    const ListenerPlan::Header expected = plan().expects(datagram.from.ip);
    const ByteView bytes = datagram.bytes;
    const size_t step = datagram.segment_size != 0 ? datagram.segment_size : std::max<size_t>(bytes.size(), 1);
    size_t at = 0;
    do {
      take(bytes.subspan(at, std::min(step, bytes.size() - at)), datagram, expected);
      at += step;
    } while (at < bytes.size());
  }
  flush();
}

void UdpListener::take(ByteView datagram, const net::Datagram& from, ListenerPlan::Header expected) {
  if (expected == ListenerPlan::Header::refused)
    return refuse(from, std::nullopt, Reason::untrusted_proxy, UdpDrop::untrusted);
  const bool with_header = expected == ListenerPlan::Header::required;
  ByteView payload = datagram;
  UdpFlow* flow = with_header ? flow_of_header(datagram, from, &payload) : flow_of_direct(datagram, from);
  if (!flow) return;
  flow->heard(from);
  if (!flow->relaying()) return flow->hold(payload, from.ecn);
  if (flow != sending_) flush();
  sending_ = flow;
  if (side_.batch().add(flow->head(), payload, from.ecn)) return;
  flush();
  sending_ = flow;
  side_.batch().add(flow->head(), payload, from.ecn);
}

// The flow may be over already, and then counts them as lost.
void UdpListener::flush() {
  if (!sending_) return;
  UdpFlow& flow = *std::exchange(sending_, nullptr);
  flow.send(side_.batch());
  side_.batch().clear();
}

UdpFlow* UdpListener::flow_of_direct(ByteView datagram, const net::Datagram& from) {
  if (begins_with_v2(datagram)) {
    refuse(from, from.from, Reason::unexpected_proxy_header, UdpDrop::forged_header);
    return nullptr;
  }
  const FlowKey key{number_, from.from, from.from};
  if (UdpFlow* flow = find_flow(key)) return flow;
  return begin_flow(key, from, nullptr);
}

UdpFlow* UdpListener::flow_of_header(ByteView datagram, const net::Datagram& from, ByteView* payload) {
  const auto glance = glance_at_header(datagram);
  if (glance) {
    *payload = datagram.subspan(glance->size);
    UdpFlow* flow = find_flow({number_, from.from, glance->source});
    if (flow && flow->knows_header(datagram.first(glance->size))) return flow;
  }
  auto header = std::make_unique<proxyproto::Header>();
  switch (read_datagram_header(datagram, plan().config.max_header_bytes, *header)) {
    case HeaderVerdict::sound:
      break;
    case HeaderVerdict::local:
      side_.drop(UdpDrop::local);
      return nullptr;
    case HeaderVerdict::malformed:
      refuse(from, std::nullopt, Reason::proxy_header_malformed, UdpDrop::malformed_header);
      return nullptr;
  }
  if (header->addressless() && plan().config.refuse_addressless) {
    refuse(from, std::nullopt, Reason::proxy_addressless, UdpDrop::limited);
    return nullptr;
  }
  const ByteView as_sent = datagram.first(header->size);
  *payload = datagram.subspan(header->size);
  (void)take_identity_tlv(header->tlvs);  // a VPN client's datagrams come without one, and nobody else's word is seen
  const FlowKey key{number_, from.from, header->source.value_or(inet::Endpoint{})};
  UdpFlow* flow = find_flow(key);
  if (!flow) flow = begin_flow(key, from, std::move(header));
  if (flow) flow->learn_header(as_sent);
  return flow;
}

UdpFlow* UdpListener::find_flow(const FlowKey& key) const noexcept {
  return static_cast<UdpFlow*>(side_.table().find(key));
}

ConnectionFacts UdpListener::facts_of(const net::Datagram& from) const {
  Worker& worker = side_.worker();
  ConnectionFacts facts;
  facts.id = worker.shared().next_id.fetch_add(1, std::memory_order_relaxed);
  facts.protocol = config::RelayProtocol::udp;
  facts.listener = listener_;
  facts.peer = from.from;
  facts.local = {from.to ? from.to : local().ip, local().port};
  facts.accepted_ms = wall_clock_ms();
  facts.accepted = worker.loop().now();
  return facts;
}

// For the events and figures of connections that are sent away, as far as it is known who comes.
void UdpListener::refuse(const net::Datagram& from, const std::optional<inet::Endpoint>& real, Reason why,
                         UdpDrop drop) {
  side_.drop(drop);
  ConnectionFacts facts = facts_of(from);
  facts.real = real;
  ConnectionInfo info;
  info.id = facts.id;
  side_.worker().ended(facts, info, why, true, false);
}

UdpFlow* UdpListener::begin_flow(const FlowKey& key, const net::Datagram& from,
                                 std::unique_ptr<proxyproto::Header> header) {
  if (!serving_) {
    side_.drop(UdpDrop::no_route);
    return nullptr;
  }
  Worker& worker = side_.worker();
  worker.flow_came();
  UdpFlow::Entry entry{routing_, nullptr, FlowSeat(worker.shared(), worker.loop()), facts_of(from)};
  entry.facts.vouched = header != nullptr;
  entry.facts.real = header ? header->source : std::optional(from.from);
  entry.facts.header = std::move(header);
  Reason refused = entry.seat.enter(entry.facts, *routing_->plan, &entry.route);
  if (refused == Reason::none && !side_.make_room(entry.seat)) refused = Reason::too_many_connections;
  if (refused != Reason::none) {
    refuse(from, entry.facts.real, refused, drop_for(refused));
    return nullptr;
  }
  entry.seat.enter_port(key_);
  auto made = std::make_unique<UdpFlow>(side_, *this, key, std::move(entry));
  UdpFlow& flow = *made;
  if (!side_.table().add(std::move(made))) return nullptr;
  ++flows_;
  try {
    flow.begin();
  } catch (const std::bad_alloc&) {
    flow.close(Reason::out_of_memory);
  }
  if (!flow.over()) return &flow;
  side_.drop(UdpDrop::unreachable);
  return nullptr;
}

void UdpListener::on_udp_error(const Error&) { side_.end_flows_of(*this); }

}  // namespace smartvpn::relay
