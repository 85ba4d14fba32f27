#include "transport/ws/ws_listener.hpp"

#include "transport/ws/ws_connection_link.hpp"

namespace smartvpn::ws {

WsListener::WsListener(const Surroundings& around, ListenerOptions options, std::shared_ptr<const net::TlsContext> tls)
    : around_(around),
      options_(std::move(options)),
      tls_(std::move(tls)),
      bury_(around.loop, [this] { bury(); }),
      handshake_timer_(around.loop, [this] { handshake_turn_.request(); }),
      handshake_turn_(around.loop, [this] { run_handshakes(); }) {}

WsListener::~WsListener() { bury(); }

Result<std::unique_ptr<WsListener>> WsListener::create(const Surroundings& around, ListenerOptions options,
                                                       std::shared_ptr<const net::TlsContext> tls) {
  std::unique_ptr<WsListener> listener(new WsListener(around, std::move(options), std::move(tls)));
  WsListener* self = listener.get();
  auto on_accept = [self](std::unique_ptr<net::TcpStream> stream) { self->on_accept(std::move(stream)); };
  std::string path = "/listen/" + std::to_string(self->options_.listener);
  Result<std::unique_ptr<net::TcpListener>> acceptor = make_error(Status::INTERNAL, "no listener");
  if (self->options_.fd >= 0) {
    acceptor = net::TcpListener::adopt(around.loop, self->options_.fd, on_accept, path + "/fd");
  } else {
    net::ListenOptions listen;
    listen.address = self->options_.address.ip.text();
    listen.port = self->options_.address.port;
    listen.sharing = self->options_.port;
    listen.path = path;
    acceptor = net::TcpListener::listen(around.loop, listen, on_accept);
  }
  if (!acceptor) return acceptor.error();
  listener->acceptor_ = std::move(*acceptor);
  listener->acceptor_->on_pressure([self](int error) { self->on_pressure(error); });
  return listener;
}

void WsListener::on_accept(std::unique_ptr<net::TcpStream> stream) {
  if (closing_) return;
  uint64_t id = around_.next_connection_id++;
  auto connection = std::make_unique<ServerConnection>(*this, id, std::move(stream));
  ServerConnection& added = *connection;
  connections_.emplace(id, std::move(connection));
  added.begin();
}

void WsListener::adopt(net::Fd socket, AdoptedClient client) {
  if (closing_) return;
  auto stream = net::TcpStream::adopt(around_.loop, std::move(socket), client.peer);
  if (!stream) return on_pressure(stream.error().system_errno);
  const uint64_t id = around_.next_connection_id++;
  auto connection = std::make_unique<ServerConnection>(*this, id, std::move(*stream));
  ServerConnection& added = *connection;
  connections_.emplace(id, std::move(connection));
  added.begin_adopted(std::move(client));
}

// It comes again with every attempt while it lasts.
void WsListener::on_pressure(int error) {
  const Time now = around_.loop.now();
  if (pressure_told_ && now < *pressure_told_ + kPressureInterval) return;
  pressure_told_ = now;
  around_.host.on_log(2, "accepting pauses: " + system_error(error, "accept").text);
}

void WsListener::want_handshake(uint64_t connection) {
  handshakes_.push_back(connection);
  handshake_turn_.request();
}

void WsListener::run_handshakes() {
  while (!handshakes_.empty()) {
    auto it = connections_.find(handshakes_.front());
    if (it == connections_.end()) {
      handshakes_.pop_front();
      continue;
    }
    if (!around_.host.admission().may_start_handshake(it->second->connection())) {
      // This turn's share is used up: sessions first, the rest right in the next turn.
      handshake_timer_.start_in(Duration::zero());
      return;
    }
    handshakes_.pop_front();
    it->second->run_handshake();
  }
}

void WsListener::retire(uint64_t connection) noexcept {
  auto it = connections_.find(connection);
  if (it == connections_.end()) return;
  it->second->next_dead_ = std::move(dead_);
  dead_ = std::move(it->second);
  connections_.erase(it);
  bury_.request();
}

void WsListener::bury() noexcept {
  while (dead_) dead_ = std::move(dead_->next_dead_);
}

bool WsListener::deliver_verdict(uint64_t connection, const session::IdentityVerdict& verdict) noexcept {
  auto it = connections_.find(connection);
  if (it == connections_.end()) return false;
  it->second->deliver_verdict(verdict);
  return true;
}

void WsListener::set_options(ListenerOptions options) {
  options_ = std::move(options);
  for (auto& [id, connection] : connections_) connection->set_keys(options_.responder.keys);
}

void WsListener::begin_drain() noexcept {
  if (options_.fd >= 0) acceptor_->pause();
}

void WsListener::close_all(Reason reason) {
  closing_ = true;
  acceptor_->pause();
  std::vector<ServerConnection*> all;
  for (auto& [id, connection] : connections_) all.push_back(connection.get());
  for (auto* connection : all) connection->close(reason);
}

}  // namespace smartvpn::ws
