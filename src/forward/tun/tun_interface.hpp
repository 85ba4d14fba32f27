// What we have set on an interface, so that a change touches only what differs and the end takes all of it back.
#pragma once

#include <vector>

#include "forward/tun/netlink.hpp"
#include "forward/tun/tun_device.hpp"

namespace smartvpn::forward {

class TunInterface {
 public:
  explicit TunInterface(int index) : index_(index) {}

  // See TunDevice::apply().
  Result<void> apply(const TunSettings& settings);
  // See TunDevice::keep_outside().
  Result<void> keep_outside(const std::vector<inet::IpAddress>& addresses, bool afresh);
  // Takes back host routes and, for a device that stays, routes and addresses. What fails has gone by itself.
  void remove_all(bool device_stays) noexcept;

 private:
  struct Pin {
    inet::IpAddress ip;
    Path path;
  };
  Result<void> pin_outside(Netlink& netlink, const std::vector<inet::IpAddress>& outside,
                           const std::vector<inet::Cidr>& routes);
  Result<void> pin(Netlink& netlink, const inet::IpAddress& ip, const Path& path);
  void unpin(Netlink& netlink, const std::vector<inet::IpAddress>& keep);
  static bool is_absent(const Error& error) noexcept;
  Result<void> add_missing(Netlink& netlink, const std::vector<InterfaceAddress>& addresses,
                           const std::vector<inet::Cidr>& routes);
  // True when an address was deleted.
  bool keep_only(Netlink& netlink, const std::vector<InterfaceAddress>& addresses,
                 const std::vector<inet::Cidr>& routes);
  Result<void> set_again(Netlink& netlink);

  const int index_;
  std::vector<InterfaceAddress> addresses_;  // added by us
  std::vector<inet::Cidr> routes_;           // likewise, default routes already halved
  std::vector<Pin> pins_;                    // host routes added by us
  uint16_t mtu_ = 0;                         // 0: not up yet
};

// The routes the kernel is given: default routes in halves, prefixes of our own addresses left out (the kernel
// makes those itself), no doubles.
std::vector<inet::Cidr> kernel_routes(const TunSettings& settings);

}  // namespace smartvpn::forward
