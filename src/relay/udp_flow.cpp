// See udp_flow.hpp. Here: its target, and its end. What a target's datagrams do is in udp_flow_traffic.cpp.
#include "relay/udp_flow.hpp"

#include <algorithm>
#include <cerrno>

#include "relay/proxy_out.hpp"
#include "relay/udp_side.hpp"
#include "relay/worker.hpp"

namespace smartvpn::relay {
namespace {

// Kernel memory is taken only for what waits to be read; there may be thousands of these.
constexpr int kFlowBuffer = 1 << 20;

// What says nothing of a target.
bool is_scarcity(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// Of a flow that nobody else has ended before it reached a target.
bool is_flow_refusal(Reason why) noexcept {
  return why != Reason::relay_stopping && why != Reason::disconnected && why != Reason::too_many_connections;
}

}  // namespace

UdpFlow::UdpFlow(UdpSide& side, UdpListener& listener, const FlowKey& key, Entry&& entry)
    : Member(key),
      side_(side),
      listener_(listener),
      routing_(std::move(entry.routing)),
      route_(entry.route),
      route_state_(routing_->routes[route_->index]),
      targets_(route_state_->targets),
      seat_(std::move(entry.seat)),
      facts_(std::move(entry.facts)),
      last_datagram_(facts_.accepted),
      timer_(side.worker().loop(), [this] { on_timer(); }) {}

UdpFlow::~UdpFlow() {
  if (asked_name_) side_.names().cancel(targets_->targets[target_].host, *this);
}

void UdpFlow::begin() {
  const auto& timeouts = routing_->plan->timeouts;
  if (timeouts.lifetime_ms != 0) lifetime_ends_ = facts_.accepted + milliseconds(timeouts.lifetime_ms);
  side_.worker().flow_opened();
  side_.worker().accepted(facts_);
  admitted_ = true;
  connect_next();
}

void UdpFlow::connect_next() {
  const Time now = side_.worker().loop().now();
  const auto choice = targets_->balancer.pick(now, tried_);
  if (!choice) return end(Reason::target_unreachable);
  target_ = *choice;
  tried_ |= uint64_t{1} << target_;
  const auto& target = targets_->targets[target_];
  if (const auto ip = inet::IpAddress::parse(target.host)) return connect_to({{*ip, 0}});
  stage_deadline_ = now + milliseconds(routing_->plan->timeouts.connect_ms);
  timer_.start_at(std::min(stage_deadline_, lifetime_ends_));
  asked_name_ = true;
  if (const auto* found = side_.names().find(target.host, *this)) on_name(*found);
}

void UdpFlow::on_name(const TargetNames::Found& found) {
  asked_name_ = false;
  if (!found) return target_failed(found.error().text);
  connect_to(*found);
}

// No handshake says whether somebody is there: the first address that there is a way to is the one.
void UdpFlow::connect_to(const std::vector<inet::Endpoint>& addresses) {
  const uint16_t wanted = targets_->targets[target_].port;
  net::UdpOptions options;
  options.kernel_buffer = kFlowBuffer;
  options.buffers = side_.buffers();
  std::string why;
  for (const inet::Endpoint& address : addresses) {
    options.connect_to = {address.ip, wanted != 0 ? wanted : facts_.local.port};
    net::UdpHandler& handler = *this;
    auto socket = net::UdpSocket::open(side_.worker().loop(), options, handler);
    if (socket) return join(std::move(*socket));
    why = socket.error().text;
    if (is_scarcity(socket.error().system_errno)) return end(Reason::out_of_memory);
  }
  target_failed(why);
}

void UdpFlow::target_failed(const std::string& detail) {
  if (std::exchange(asked_name_, false)) side_.names().cancel(targets_->targets[target_].host, *this);
  ++route_state_->counters.target_failures;
  side_.worker().target_failure();
  if (targets_->balancer.failed(target_, side_.worker().loop().now()))
    side_.worker().target_changed(*route_state_, *targets_, target_, false, detail);
  if (stage_ == Stage::connecting) connect_next();
}

void UdpFlow::join(std::unique_ptr<net::UdpSocket> socket) {
  // Both ends on this machine, and the other one is ours: it would go round for ever.
  const inet::IpAddress& own = socket->local().ip;
  const bool here = own == socket->peer().ip || own.is_loopback();
  if (here && side_.listens_at(socket->peer())) return end(Reason::relay_loop);
  auto head = make_head();
  if (!head) return end(Reason::internal_error);
  head_ = std::move(*head);
  socket_ = std::move(socket);
  targets_->balancer.opened(target_);
  in_target_ = true;
  stage_ = Stage::relaying;
  ++route_state_->counters.connections_total;
  ++route_state_->counters.connections_open;
  ++route_state_->counters.connections_relayed;
  side_.worker().relayed();
  stage_deadline_ = last_datagram_ + milliseconds(routing_->plan->timeouts.udp_idle_ms);
  timer_.start_at(std::min(stage_deadline_, lifetime_ends_));
  release_held();
}

// Empty where the route sends none; nothing where it cannot be said.
std::optional<Bytes> UdpFlow::make_head() const {
  const auto& action = route_->config.action;
  if (action.send_proxy_protocol == config::RelayActionConfig::Send::off) return Bytes();
  ProxyOutInput in;
  in.transport = proxyproto::Transport::dgram;
  if (facts_.real) {
    in.client = facts_.real;
    in.destination = facts_.dialled();
  }
  in.received = facts_.header.get();
  in.send_authority = action.tlvs.authority;
  in.send_alpn = action.tlvs.alpn;
  in.send_ssl = action.tlvs.ssl;
  in.send_unique_id = false;
  in.crc32c = action.tlvs.crc32c;
  in.forward_unknown_tlvs = action.tlvs.unknown;
  return make_proxy_out(in);
}

void UdpFlow::on_timer() {
  const Time now = side_.worker().loop().now();
  if (now >= lifetime_ends_) return end(Reason::lifetime_timeout);
  if (stage_ == Stage::connecting) return target_failed("no answer in time");
  // Datagrams move no timer; it is set anew when it runs out too early.
  stage_deadline_ = last_datagram_ + milliseconds(routing_->plan->timeouts.udp_idle_ms);
  if (stage_deadline_ <= now) return end(Reason::idle_timeout);
  timer_.start_at(std::min(stage_deadline_, lifetime_ends_));
}

void UdpFlow::end(Reason why) {
  if (over()) return;
  settle();
  const bool relayed = stage_ == Stage::relaying;
  const ConnectionInfo last = last_info();
  stage_ = Stage::over;
  timer_.stop();
  if (std::exchange(asked_name_, false)) side_.names().cancel(targets_->targets[target_].host, *this);
  for (const Held& held : held_) side_.give_back(held.payload.size());
  side_.drop(UdpDrop::unreachable, held_.size());
  held_.clear();
  if (socket_) socket_->pause_reading();
  if (relayed) --route_state_->counters.connections_open;
  if (in_target_) targets_->balancer.closed(target_);
  seat_.leave();
  side_.worker().flow_closed();
  side_.worker().ended(facts_, last, why, !relayed && is_flow_refusal(why), admitted_);
  side_.retire(*this);
}

// A flow ends also where there is no memory for its texts.
ConnectionInfo UdpFlow::last_info() const noexcept {
  try {
    return info();
  } catch (const std::bad_alloc&) {
    ConnectionInfo out;
    out.bytes_in = settled_in_;
    out.bytes_out = settled_out_;
    return out;
  }
}

ConnectionInfo UdpFlow::info() const {
  constexpr const char* stages[] = {"connecting", "relaying", "closed"};
  ConnectionInfo out;
  out.id = facts_.id;
  out.listener = facts_.listener;
  out.protocol = facts_.protocol;
  out.peer_addr = facts_.peer;
  out.remote_addr = facts_.real;
  out.vouched = facts_.vouched;
  out.tlvs = tlv_texts(facts_);
  out.route = route_->config.name;
  out.stage = stages[static_cast<size_t>(stage_)];
  if (socket_) out.target = socket_->peer();
  out.bytes_in = settled_in_;
  out.bytes_out = settled_out_;
  out.since_ms = facts_.accepted_ms;
  return out;
}

}  // namespace smartvpn::relay
