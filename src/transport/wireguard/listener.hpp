// One listening UDP socket of the device. A socket that breaks is told of and opened again at the same address, once a
// second until that works; one of the host's cannot be, and is only told of.
#pragma once

#include "net/timer.hpp"
#include "net/udp_socket.hpp"
#include "transport/wireguard/device.hpp"
#include "transport/wireguard/proxy_datagram.hpp"

namespace smartvpn::wireguard {

class Listener final : private net::UdpHandler {
 public:
  class Owner {
   public:
    virtual void on_datagrams(Listener& listener, std::span<net::Datagram> batch) = 0;
    virtual void on_writable() = 0;
    // Before the socket is destroyed.
    virtual void on_socket_gone(const net::UdpSocket& socket) = 0;

   protected:
    ~Owner() = default;
  };

  static Result<std::unique_ptr<Listener>> open(const Surroundings& around, ListenerOptions options, bool reuse_port,
                                                Owner& owner);
  ~Listener() override;

  uint32_t index() const noexcept { return options_.listener; }
  const ListenerOptions& options() const noexcept { return options_; }
  const inet::Endpoint& local() const noexcept { return local_; }
  net::UdpSocket* socket() const noexcept { return socket_.get(); }  // null while it is broken
  ProxyDatagram& proxy() noexcept { return proxy_; }
  void pause() noexcept;

 private:
  Listener(const Surroundings& around, ListenerOptions options, bool reuse_port, Owner& owner);
  Result<void> bind();
  void on_datagrams(std::span<net::Datagram> batch) override { owner_.on_datagrams(*this, batch); }
  void on_udp_writable() override { owner_.on_writable(); }
  void on_udp_error(const Error& error) override;
  void reopen();

  static constexpr Duration kRetry = seconds(1);
  Surroundings around_;
  ListenerOptions options_;
  const bool reuse_port_;
  Owner& owner_;
  inet::Endpoint local_;
  ProxyDatagram proxy_;
  std::unique_ptr<net::UdpSocket> socket_;
  net::Timer retry_;
  bool paused_ = false;
};

}  // namespace smartvpn::wireguard
