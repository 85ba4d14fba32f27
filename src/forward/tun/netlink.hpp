// The little of rtnetlink that a tunnel needs: link, addresses, routes of one interface, both families.
#pragma once

#include <cstdint>
#include <functional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "inet/address.hpp"
#include "net/fd.hpp"

namespace smartvpn::forward {

// Where the kernel sends packets for an address.
struct Path {
  int index = 0;            // of the interface
  inet::IpAddress gateway;  // none: on the link itself
  bool local = false;       // the address is this host's own
  bool onlink = false;      // the gateway is reached there, whatever the prefixes say
};

// What an administrator has said of an interface.
struct LinkState {
  bool up = false;
  uint32_t mtu = 0;
};

// Speaks to the network namespace of the thread that opened it. The kernel answers within the call. Errors are
// SYSTEM with the kernel's errno.
class Netlink {
 public:
  static Result<Netlink> open();

  // Brings the interface up with this MTU.
  Result<void> set_up(int index, uint16_t mtu);
  Result<LinkState> link(int index);
  Result<void> set_link(int index, const LinkState& state);
  // No link-local address of the kernel's own making, and so no neighbour discovery noise. Old kernels refuse.
  Result<void> disable_ipv6_autoconf(int index);
  // Whether a tun device puts 4 bytes of its own before each packet. False where the kernel does not tell (4.15).
  Result<bool> has_packet_information(int index);
  // With the route to its prefix; IPv6 without duplicate address detection.
  Result<void> add_address(int index, const inet::IpAddress& ip, uint8_t prefix);
  Result<void> delete_address(int index, const inet::IpAddress& ip, uint8_t prefix);
  // Through the interface, in the main table.
  Result<void> add_route(int index, const inet::Cidr& destination);
  Result<void> delete_route(int index, const inet::Cidr& destination);

  Result<Path> path_to(const inet::IpAddress& ip);
  // A route of its own for one address, as add_route() but by way of `path`.
  Result<void> add_host_route(const inet::IpAddress& ip, const Path& path);
  Result<void> delete_host_route(const inet::IpAddress& ip, const Path& path);
  // One that add_host_route() has made, whichever its path: also in a process that has died since.
  Result<void> delete_host_route(const inet::IpAddress& ip);

 private:
  explicit Netlink(net::Fd fd) : fd_(std::move(fd)) {}
  class Message;
  Result<void> address(uint16_t type, uint16_t flags, int index, const inet::IpAddress& ip, uint8_t prefix);
  Result<void> route(uint16_t type, uint16_t flags, const Path& path, const inet::Cidr& destination, uint8_t protocol);
  // `on_reply` gets the type and body of what comes before the kernel's verdict.
  using OnReply = std::function<void(uint16_t type, ByteView body)>;
  Result<void> transact(Message& message, const char* what, const OnReply& on_reply = {});

  net::Fd fd_;
  uint32_t sequence_ = 0;
};

}  // namespace smartvpn::forward
