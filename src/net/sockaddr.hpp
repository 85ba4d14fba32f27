// Between `inet::Endpoint` and the kernel's socket addresses; mapped IPv4 comes out as IPv4.
#pragma once

#include <sys/socket.h>

#include "inet/address.hpp"

namespace smartvpn::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress to_socket_address(const inet::Endpoint& endpoint) noexcept;
// Family none for anything but IPv4 and IPv6.
inet::Endpoint to_endpoint(const sockaddr* address, socklen_t size) noexcept;
inet::Endpoint local_endpoint(int fd) noexcept;
inet::Endpoint peer_endpoint(int fd) noexcept;

}  // namespace smartvpn::net
