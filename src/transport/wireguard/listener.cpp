// See listener.hpp.
#include "transport/wireguard/listener.hpp"

namespace smartvpn::wireguard {

Listener::Listener(const Surroundings& around, ListenerOptions options, bool reuse_port, Owner& owner)
    : around_(around),
      options_(std::move(options)),
      reuse_port_(reuse_port),
      owner_(owner),
      retry_(around.loop, [this] { reopen(); }) {}

Listener::~Listener() {
  if (socket_) owner_.on_socket_gone(*socket_);
}

Result<std::unique_ptr<Listener>> Listener::open(const Surroundings& around, ListenerOptions options, bool reuse_port,
                                                 Owner& owner) {
  std::unique_ptr<Listener> listener(new Listener(around, std::move(options), reuse_port, owner));
  if (auto bound = listener->bind(); !bound) return bound.error();
  return listener;
}

Result<void> Listener::bind() {
  net::UdpOptions udp;
  udp.address = local_ ? local_ : options_.address;  // opened again: the port that it had
  udp.fd = options_.fd;
  udp.reuse_port = reuse_port_;
  udp.gro = options_.receive_offload;
  udp.gso = options_.send_offload;
  udp.path = "/listen/" + std::to_string(options_.listener);
  net::UdpHandler& self = *this;
  auto socket = net::UdpSocket::open(around_.loop, udp, self);
  if (!socket) return socket.error();
  socket_ = std::move(*socket);
  local_ = socket_->local();
  return {};
}

void Listener::pause() noexcept {
  paused_ = true;
  retry_.stop();
  if (socket_) socket_->pause_reading();
}

void Listener::on_udp_error(const Error& error) {
  around_.host.on_log(3, "/listen/" + std::to_string(options_.listener) + ": " + error.text);
  owner_.on_socket_gone(*socket_);
  socket_.reset();
  if (options_.fd < 0 && !paused_) retry_.start_in(kRetry);
}

void Listener::reopen() {
  if (auto bound = bind(); !bound) {
    retry_.start_in(kRetry);
    return;
  }
  around_.host.on_log(2, "/listen/" + std::to_string(options_.listener) + ": open again");
}

}  // namespace smartvpn::wireguard
