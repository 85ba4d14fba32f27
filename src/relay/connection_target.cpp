// See connection.hpp. Here: until both sides are joined, and while they are.
#include "net/scarcity.hpp"
#include "proxyproto/writer.hpp"
#include "relay/connection.hpp"
#include "relay/proxy_out.hpp"
#include "relay/proxy_signature.hpp"
#include "relay/worker.hpp"

namespace smartvpn::relay {

void Connection::connect_next() {
  const Time now = worker_.loop().now();
  const auto choice = targets_->balancer.pick(now, tried_);
  if (!choice) return end(Reason::target_unreachable);
  target_ = *choice;
  tried_ |= uint64_t{1} << target_;
  arm(now + milliseconds(routing_->plan->timeouts.connect_ms));
  const auto& target = targets_->targets[target_];
  const uint16_t port = target.port != 0 ? target.port : facts_.local.port;
  if (const auto ip = inet::IpAddress::parse(target.host)) return connect_to({{*ip, port}});
  look_up_ = worker_.resolver().resolve(target.host, port, [this](Result<std::vector<inet::Endpoint>> found) {
    look_up_ = 0;
    guarded([&] {
      if (!found) return target_failed(found.error());
      connect_to(std::move(*found));
    });
  });
  if (look_up_ == 0) target_failed(make_error(Status::AGAIN, "too many names are being looked up"));
}

void Connection::connect_to(std::vector<inet::Endpoint> addresses) {
  const Duration left = std::max(stage_deadline_ - worker_.loop().now(), Duration(milliseconds(1)));
  // One that does not answer leaves time for the next.
  const Duration each = left / static_cast<int64_t>(std::min<size_t>(addresses.size(), 3));
  net::ConnectOptions options{std::move(addresses), each, left};
  connector_ = std::make_unique<net::TcpConnector>(
      worker_.loop(), std::move(options), net::TcpConnector::Socket{&spare_},
      [this](Result<std::unique_ptr<net::FdWatcher>> socket) { guarded([&] { on_connected(std::move(socket)); }); });
}

void Connection::on_connected(Result<std::unique_ptr<net::FdWatcher>> socket) {
  if (!socket) return target_failed(socket.error());
  target_at_ = connector_->connected_to();
  connector_.reset();
  spare_.reset();
  if (worker_.listens_at(target_at_) && net::connects_to_itself(**socket, target_at_)) {
    net::reset_on_close(**socket);
    return end(Reason::relay_loop);
  }
  if (targets_->balancer.succeeded(target_)) worker_.target_changed(*route_state_, *targets_, target_, true, {});
  targets_->balancer.opened(target_);
  in_target_ = true;
  join(std::move(*socket));
}

// What was the failed target's serves the next one.
void Connection::stop_connecting() noexcept {
  connector_.reset();
  if (!spare_) spare_ = net::spare_descriptor();
  if (look_up_ != 0) worker_.resolver().cancel(std::exchange(look_up_, 0));
}

void Connection::target_failed(const Error& error) {
  stop_connecting();
  if (net::is_scarcity(error.system_errno)) return connect_next();  // ours, and not the target's doing
  ++route_state_->counters.target_failures;
  worker_.target_failure();
  if (targets_->balancer.failed(target_, worker_.loop().now()))
    worker_.target_changed(*route_state_, *targets_, target_, false, error.text);
  connect_next();
}

void Connection::join(std::unique_ptr<net::FdWatcher> socket) {
  auto header = proxy_header();
  if (!header || !join_pump(std::move(socket), std::move(*header))) return end(Reason::internal_error);
  stage_ = Stage::relaying;
  ++route_state_->counters.connections_total;
  ++route_state_->counters.connections_open;
  ++route_state_->counters.connections_relayed;
  worker_.relayed();
  const uint32_t idle_ms = routing_->plan->timeouts.idle_ms;
  arm(idle_ms != 0 ? worker_.loop().now() + milliseconds(idle_ms) : kNever);
}

bool Connection::join_pump(std::unique_ptr<net::FdWatcher> socket, Bytes header) {
  if (tls_pump_) {
    auto machine = route_->tls->towards_target(targets_->targets[target_], tls_pump_->client_tls().alpn());
    if (!machine) return false;
    tls_pump_->attach(std::move(socket), std::move(*machine), std::move(header), {route_->config.action.half_open});
    return true;
  }
  header_size_ = header.size();
  // What may still turn out to be a forged header waits in the pump for the bytes that tell.
  Bytes undecided;
  if (no_header_allowed_)
    undecided.swap(held_);
  else
    header.insert(header.end(), held_.begin(), held_.end());
  Bytes().swap(held_);
  net::TcpPump::Options options;
  options.half_open = route_->config.action.half_open;
  options.look_first = no_header_allowed_;
  net::Pump::Handler& handler = *this;
  auto pump = std::make_unique<net::TcpPump>(worker_.loop(), client_->release(), std::move(socket), worker_.pipes(),
                                             handler, options);
  client_.reset();
  pump->start(std::move(header), std::move(undecided));
  pump_ = std::move(pump);
  return true;
}

// Empty where the route sends none; nothing where it cannot be said.
std::optional<Bytes> Connection::proxy_header() const {
  using Send = config::RelayActionConfig::Send;
  const auto& action = route_->config.action;
  if (action.send_proxy_protocol == Send::off) return Bytes();
  ProxyOutInput in;
  in.version = action.send_proxy_protocol == Send::v1 ? proxyproto::Version::v1 : proxyproto::Version::v2;
  in.local = facts_.header && facts_.header->is_local();
  if (facts_.real) {
    in.client = facts_.real;
    in.destination = facts_.dialled();
  }
  in.received = facts_.header.get();
  in.authority = facts_.host;
  std::string alpn;  // as long as `in`
  if (tls_pump_) {
    const net::TlsMachine& tls = tls_pump_->client_tls();
    alpn = tls.alpn();
    in.alpn = alpn;
    in.tls = {tls.version(), tls.cipher()};
  }
  if (facts_.identity && action.tlvs.identity) in.identity = &*facts_.identity;
  in.unique_id = unique_id_;
  in.send_authority = action.tlvs.authority;
  in.send_alpn = action.tlvs.alpn;
  in.send_ssl = action.tlvs.ssl;
  in.send_unique_id = action.tlvs.unique_id;
  in.crc32c = action.tlvs.crc32c;
  in.forward_unknown_tlvs = action.tlvs.unknown;
  return make_proxy_out(in);
}

void Connection::settle() {
  if (!pump_ || stage_ != Stage::relaying) return;
  const uint64_t sent = pump_->bytes_from_client();
  const uint64_t in = sent - std::min<uint64_t>(sent, header_size_), out = pump_->bytes_from_target();
  const uint64_t more_in = in - settled_in_, more_out = out - settled_out_;
  if (more_in == 0 && more_out == 0) return;
  settled_in_ = in;
  settled_out_ = out;
  route_state_->counters.bytes_in += more_in;
  route_state_->counters.bytes_out += more_out;
  worker_.moved(facts_, more_in, more_out);
}

void Connection::watch_over() {
  const Time now = worker_.loop().now();
  const uint32_t idle_ms = routing_->plan->timeouts.idle_ms;
  const bool half_open_over = half_open_ends_ <= now;
  if (half_open_over) return end(Reason::half_open_timeout);
  const Time idle_at = idle_ms != 0 ? pump_->last_activity() + milliseconds(idle_ms) : kNever;
  if (idle_at <= now) return end(Reason::idle_timeout);
  arm(std::min(idle_at, half_open_ends_));
}

void Connection::on_pump_end(const net::PumpEnd& how) {
  const bool client = how.side == net::PumpSide::client;
  if (how.tls) return end(Reason::tls_failed);
  if (how.reset) return end(client ? Reason::reset_by_client : Reason::reset_by_target);
  end(client ? Reason::closed_by_client : Reason::closed_by_target);
}

void Connection::on_pump_half_closed(net::PumpSide) {
  half_open_ends_ = worker_.loop().now() + milliseconds(routing_->plan->timeouts.half_open_ms);
  timer_.start_at(std::min({stage_deadline_, lifetime_ends_, half_open_ends_}));
}

Connection::Look Connection::on_pump_first_bytes(ByteView bytes) {
  switch (proxy_signature(bytes)) {
    case Signature::no:
      return Look::pass;
    case Signature::maybe:
      return Look::wait;
    case Signature::yes:
      break;
  }
  return Look::refuse;
}

void Connection::on_pump_refused() { end(Reason::unexpected_proxy_header); }

}  // namespace smartvpn::relay
