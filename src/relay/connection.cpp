// See connection.hpp. Here: until it is known who comes, and how it ends.
#include "relay/connection.hpp"

#include "proxyproto/tlv.hpp"
#include "relay/first_words.hpp"
#include "relay/proxy_signature.hpp"
#include "relay/worker.hpp"

namespace smartvpn::relay {
namespace {

// Of somebody who is gone, or was sent away by us before there was anything to send him to.
bool is_refusal(Reason why, bool relayed) noexcept {
  return !relayed && why != Reason::closed_by_client && why != Reason::reset_by_client &&
         why != Reason::relay_stopping && why != Reason::disconnected && why != Reason::handed_to_vpn;
}

}  // namespace

Connection::Connection(Worker& worker, RoutingPtr routing, ConnectionFacts facts)
    : worker_(worker),
      routing_(std::move(routing)),
      facts_(std::move(facts)),
      timer_(worker.loop(), [this] { on_timer(); }) {}

Connection::~Connection() = default;

const char* Connection::stage_name(Stage stage) noexcept {
  constexpr const char* names[] = {"header", "hello", "handshake", "hello", "connecting", "relaying", "closed"};
  return names[static_cast<size_t>(stage)];
}

void Connection::begin(net::Fd socket, net::Fd& spare) noexcept {
  spare_ = std::move(spare);
  guarded([&] { expect_header_or_client(std::move(socket)); });
  if (connector_ || stage_ == Stage::over) spare = std::move(spare_);
}

void Connection::expect_header_or_client(net::Fd socket) {
  auto client = net::OpeningSocket::create(worker_.loop(), std::move(socket), *this);
  if (!client) return end(Reason::out_of_memory);
  client_ = std::move(*client);
  const auto& timeouts = routing_->plan->timeouts;
  if (timeouts.lifetime_ms != 0) lifetime_ends_ = facts_.accepted + milliseconds(timeouts.lifetime_ms);
  const ListenerPlan& listener = routing_->plan->listeners[facts_.listener];
  switch (listener.expects(facts_.peer.ip)) {
    case ListenerPlan::Header::refused:
      return end(Reason::untrusted_proxy);
    case ListenerPlan::Header::forbidden:
      no_header_allowed_ = true;
      facts_.real = facts_.peer;
      if (const VpnDoor door = worker_.shared().vpn_door(); door.client_at)
        facts_.identity = door.client_at(facts_.peer.ip);
      return admit();
    case ListenerPlan::Header::required:
      break;
  }
  parser_ = std::make_unique<proxyproto::Parser>(
      listener.mode, proxyproto::Limits{listener.config.max_header_bytes - proxyproto::kV2FixedSize});
  arm(facts_.accepted + milliseconds(timeouts.proxy_header_ms));
  client_->read_start();
}

void Connection::on_opening_bytes(ByteView bytes) {
  guarded([&] { take_opening_bytes(bytes); });
}

void Connection::take_opening_bytes(ByteView bytes) {
  switch (stage_) {
    case Stage::header:
      return on_header_bytes(bytes);
    case Stage::hello:
      return listen_for_name(bytes);
    default:
      hold(bytes);
      if (forged_header()) end(Reason::unexpected_proxy_header);
  }
}

void Connection::on_header_bytes(ByteView bytes) {
  size_t consumed = 0;
  const auto result = parser_->feed(bytes, consumed);
  if (result == proxyproto::ParseResult::need_more) return;
  if (result != proxyproto::ParseResult::done) return end(Reason::proxy_header_malformed);
  hold(bytes.subspan(consumed));
  take_header();
}

// LOCAL is the proxy's own connection, a health check as a rule: nobody else's address, and none of a client's limits.
void Connection::take_header() {
  facts_.header = std::make_unique<proxyproto::Header>(parser_->take_header());
  parser_.reset();
  const proxyproto::Header& header = *facts_.header;
  facts_.vouched = true;
  take_identity();
  facts_.real = header.source;
  if (header.addressless() && routing_->plan->listeners[facts_.listener].config.refuse_addressless)
    return end(Reason::proxy_addressless);
  admit();
}

// Only from who may say so; from nobody else does it go on, be seen, or be counted.
void Connection::take_identity() {
  auto told = take_identity_tlv(facts_.header->tlvs);
  if (routing_->plan->listeners[facts_.listener].identity.contains(facts_.peer.ip)) facts_.identity = std::move(told);
}

void Connection::admit() {
  const bool local = facts_.header && facts_.header->is_local();
  if (const Reason refused = local ? Reason::none : check_admission(); refused != Reason::none) return end(refused);
  worker_.accepted(facts_);
  admitted_ = true;
  std::optional<inet::IpAddress> ip;
  if (facts_.real) ip = facts_.real->ip;
  if (!routing_->plan->routes.needs_first_bytes(facts_.local.port, ip)) {
    client_->read_start();
    if (forged_header()) return end(Reason::unexpected_proxy_header);
    return take_route();
  }
  stage_ = Stage::hello;
  first_words_ = std::make_unique<FirstWords>();
  arm(worker_.loop().now() + milliseconds(routing_->plan->timeouts.first_bytes_ms));
  client_->read_start();
  const Bytes held = std::move(held_);
  held_.clear();
  if (!held.empty()) listen_for_name(held);
}

Reason Connection::check_admission() {
  std::optional<inet::IpAddress> ip;
  if (facts_.real) ip = facts_.real->ip;
  if (const Reason refused = routing_->plan->sources.judge(ip); refused != Reason::none) return refused;
  const Reason refused = worker_.shared().limits.enter_address(facts_.judged(), worker_.loop().now());
  in_address_ = refused == Reason::none;
  return refused;
}

// What a client has sent stays with us until there is somebody to give it to.
void Connection::hold(ByteView bytes) {
  held_.insert(held_.end(), bytes.begin(), bytes.end());
  if (held_.size() >= kMaxHeld) client_->read_stop();
}

// On a connection that must not have a header. True: it has one.
bool Connection::forged_header() {
  if (!no_header_allowed_ || held_.empty()) return false;
  const Signature signature = proxy_signature(held_);
  if (signature == Signature::no) no_header_allowed_ = false;
  return signature == Signature::yes;
}

void Connection::on_opening_end(int error) {
  if (error != 0) return end(Reason::reset_by_client);
  // Who has said something and all of it: it is delivered. The pump meets the FIN again.
  if (held_.empty()) return end(Reason::closed_by_client);
  no_header_allowed_ = false;  // no more will come: it was none
  if (stage_ == Stage::hello) guarded([this] { take_route(); });
}

void Connection::arm(Time deadline) noexcept {
  stage_deadline_ = deadline;
  timer_.start_at(std::min(deadline, lifetime_ends_));
}

void Connection::on_timer() {
  guarded([this] { take_deadline(); });
}

void Connection::take_deadline() {
  if (worker_.loop().now() >= lifetime_ends_) return end(Reason::lifetime_timeout);
  switch (stage_) {
    case Stage::header:
      return end(Reason::proxy_header_timeout);
    case Stage::hello:
      // Whoever waits for the server to speak first gets the route that needs no name.
      if (held_.empty()) return take_route();
      return end(Reason::first_bytes_timeout);
    case Stage::handshake:
      return end(Reason::handshake_timeout);
    case Stage::request:
      if (tls_pump_->said().empty()) return lead_on();  // likewise
      return end(Reason::first_bytes_timeout);
    case Stage::connecting:
      return target_failed(make_error(Status::TIMEOUT, "no answer in time"));
    case Stage::relaying:
      return watch_over();
    case Stage::over:
      return;
  }
}

void Connection::close(Reason why) noexcept { end(why); }

void Connection::end(Reason why) noexcept {
  if (stage_ == Stage::over) return;
  account_end(why);
  stage_ = Stage::over;
  timer_.stop();
  connector_.reset();
  if (look_up_ != 0) worker_.resolver().cancel(std::exchange(look_up_, 0));
  if (client_) {
    if (is_refusal(why, false) || why == Reason::reset_by_client)
      client_->reset();
    else
      client_->read_stop();
  }
  worker_.retire(*this);
}

void Connection::account_end(Reason why) noexcept {
  ConnectionInfo last;
  settle();
  const bool relayed = stage_ == Stage::relaying;
  if (route_state_ && relayed) --route_state_->counters.connections_open;
  if (in_target_) targets_->balancer.closed(target_);
  if (in_route_) worker_.shared().limits.leave_route(route_state_->name);
  if (in_address_) worker_.shared().limits.leave_address(facts_.judged(), worker_.loop().now());
  if (!unique_id_.empty()) worker_.shared().unique_ids.leave(unique_id_);
  worker_.shared().limits.leave();
  try {
    last = info();
  } catch (const std::bad_alloc&) {
    last = {};  // an end is an end, also where there is no memory to describe it
  }
  worker_.ended(facts_, last, why, is_refusal(why, relayed), admitted_);
}

ConnectionInfo Connection::info() const {
  ConnectionInfo out;
  out.id = facts_.id;
  out.listener = facts_.listener;
  out.peer_addr = facts_.peer;
  out.remote_addr = facts_.real;
  out.vouched = facts_.vouched;
  out.tlvs = tlv_texts(facts_);
  if (facts_.identity) out.client_id = facts_.identity->client_id;
  out.host = facts_.host;
  if (route_) out.route = route_->config.name;
  out.stage = stage_name(stage_);
  out.target = target_at_;
  out.bytes_in = settled_in_;
  out.bytes_out = settled_out_;
  out.since_ms = facts_.accepted_ms;
  return out;
}

}  // namespace smartvpn::relay
