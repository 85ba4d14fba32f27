// What we have set on an interface, so that a change touches only what differs and the end takes all of it back.
#pragma once

#include <vector>

#include "forward/tun/netlink.hpp"
#include "forward/tun/tun_device.hpp"

namespace smartvpn::forward {

class TunInterface {
 public:
  // `stays`: the device outlives us, and is left as it was.
  TunInterface(int index, bool stays) : index_(index), stays_(stays) {}

  struct Look {
    bool up = false;
    size_t set_again = 0;  // addresses and routes
  };

  // See TunDevice::apply().
  Result<void> apply(const TunSettings& settings);
  // See TunDevice::keep_outside().
  Result<void> keep_outside(const std::vector<inet::IpAddress>& addresses, bool afresh);
  // Looks whether somebody else has changed the interface: what of ours is missing while it is up is set again. That
  // somebody has set it down, or its MTU, is left so.
  Result<Look> look_after();
  // Takes back host routes and, from a device that stays, routes, addresses, MTU and whether it was up. What fails has
  // gone by itself.
  void remove_all() noexcept;

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
  Result<void> set_again(Netlink& netlink, size_t* count = nullptr);
  bool leads_here(Netlink& netlink, const inet::IpAddress& ip) const;
  // The kernel makes the route to an address's prefix with the address, and only then.
  void renew_without_prefix(Netlink& netlink);

  const int index_;
  const bool stays_;
  std::vector<InterfaceAddress> addresses_;  // added by us
  std::vector<inet::Cidr> routes_;           // likewise, default routes already halved
  std::vector<Pin> pins_;                    // host routes added by us
  std::vector<InterfaceAddress> crossed_;    // whose prefix leads elsewhere, whatever we do
  uint16_t mtu_ = 0;                         // 0: not up yet
  LinkState before_;                         // of a device that stays
};

// The routes the kernel is given: default routes in halves, prefixes of our own addresses left out (the kernel
// makes those itself), no doubles.
std::vector<inet::Cidr> kernel_routes(const TunSettings& settings);

}  // namespace smartvpn::forward
