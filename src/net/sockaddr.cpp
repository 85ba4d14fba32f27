// See sockaddr.hpp.
#include "net/sockaddr.hpp"

#include <netinet/in.h>

#include <cstring>

namespace smartvpn::net {

SocketAddress to_socket_address(const inet::Endpoint& endpoint) noexcept {
  SocketAddress out;
  auto bytes = endpoint.ip.bytes();
  if (endpoint.ip.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    store_be16(reinterpret_cast<uint8_t*>(&in.sin_port), endpoint.port);
    std::memcpy(&in.sin_addr, bytes.data(), 4);
    std::memcpy(&out.storage, &in, sizeof in);
    out.size = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    store_be16(reinterpret_cast<uint8_t*>(&in.sin6_port), endpoint.port);
    std::memcpy(&in.sin6_addr, bytes.data(), 16);
    std::memcpy(&out.storage, &in, sizeof in);
    out.size = sizeof in;
  }
  return out;
}

inet::Endpoint to_endpoint(const sockaddr* address, socklen_t size) noexcept {
  inet::Endpoint out;
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in in;
    std::memcpy(&in, address, sizeof in);
    out.ip = inet::IpAddress::v4(ntohl(in.sin_addr.s_addr));
    out.port = ntohs(in.sin_port);
  } else if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in;
    std::memcpy(&in, address, sizeof in);
    out.ip = inet::IpAddress::v6(std::span<const uint8_t, 16>(in.sin6_addr.s6_addr, 16));
    out.port = ntohs(in.sin6_port);
  }
  return out;
}

inet::Endpoint local_endpoint(int fd) noexcept {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (getsockname(fd, address.get(), &address.size) != 0) return {};
  return to_endpoint(address.get(), address.size);
}

inet::Endpoint peer_endpoint(int fd) noexcept {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (getpeername(fd, address.get(), &address.size) != 0) return {};
  return to_endpoint(address.get(), address.size);
}

}  // namespace smartvpn::net
