// See connection.hpp. Here: TLS that ends here, before there is a target.
#include "relay/connection.hpp"
#include "relay/worker.hpp"

namespace smartvpn::relay {

// The handshake comes first: its outcome is told to the target, and nobody is connected to for a client that fails it.
void Connection::end_tls_here() {
  if (facts_.tls_version == 0) return end(Reason::tls_failed);
  auto machine = route_->tls->towards_client(facts_.host);
  if (!machine) return end(Reason::out_of_memory);
  stage_ = Stage::handshake;
  net::Pump::Handler& handler = *this;
  auto pump = std::make_unique<net::TlsPump>(worker_.loop(), client_->release(), std::move(machine), handler);
  client_.reset();
  tls_pump_ = pump.get();
  pump_ = std::move(pump);
  arm(worker_.loop().now() + milliseconds(routing_->plan->timeouts.first_bytes_ms));
  tls_pump_->start(std::exchange(held_, {}));
}

// Only where the Host of a request may change where it goes is one waited for.
void Connection::on_pump_secured() {
  guarded([this] {
    std::optional<inet::IpAddress> ip;
    if (facts_.real) ip = facts_.real->ip;
    stage_ = Stage::request;
    const std::string alpn = tls_pump_->client_tls().alpn();
    if (!routing_->plan->routes.host_may_lead_on(*route_, route_query(ip), alpn)) return lead_on();
    host_ = std::make_unique<HttpHostMachine>();
    arm(worker_.loop().now() + milliseconds(routing_->plan->timeouts.first_bytes_ms));
    listen_for_host();
  });
}

void Connection::on_pump_said() {
  if (stage_ == Stage::request) guarded([this] { listen_for_host(); });
}

void Connection::listen_for_host() {
  const ByteView said = tls_pump_->said();
  const auto state = host_->feed(said.subspan(host_fed_));
  host_fed_ = said.size();
  if (state != HttpHostMachine::State::need_more || tls_pump_->said_all()) lead_on();
}

// To where the Host leads, or on by the route that the handshake was made for.
void Connection::lead_on() {
  const std::string host = host_ ? host_->take_host() : std::string();
  host_.reset();
  stage_ = Stage::connecting;
  if (!host.empty()) {
    std::optional<inet::IpAddress> ip;
    if (facts_.real) ip = facts_.real->ip;
    RouteQuery query = route_query(ip);
    query.host = host;
    const Route& route = routing_->plan->routes.lead_on(*route_, query, tls_pump_->client_tls().alpn());
    const bool another = &route != route_;
    if (another || facts_.host.empty()) facts_.host = host;
    if (const Reason refused = another ? enter_route(route) : Reason::none; refused != Reason::none)
      return end(refused);
    if (!enter_chain()) return end(Reason::relay_loop);
  }
  connect_next();
}

}  // namespace smartvpn::relay
