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
  net::TlsPump::Options options;
  options.half_open = route_->config.action.half_open;
  net::Pump::Handler& handler = *this;
  auto pump = std::make_unique<net::TlsPump>(worker_.loop(), client_->release(), std::move(machine), handler, options);
  client_.reset();
  tls_pump_ = pump.get();
  pump_ = std::move(pump);
  arm(worker_.loop().now() + milliseconds(routing_->plan->timeouts.first_bytes_ms));
  tls_pump_->start(std::exchange(held_, {}));
}

void Connection::on_pump_secured() {
  stage_ = Stage::connecting;
  guarded([this] { connect_next(); });
}

}  // namespace smartvpn::relay
