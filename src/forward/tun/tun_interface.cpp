// See tun_interface.hpp.
#include "forward/tun/tun_interface.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

namespace smartvpn::forward {
namespace {

template <class T>
bool has(const std::vector<T>& list, const T& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

bool is_own_prefix(const TunSettings& settings, const inet::Cidr& route) {
  return std::any_of(settings.addresses.begin(), settings.addresses.end(), [&](const InterfaceAddress& a) {
    return a.prefix == route.prefix && a.ip.masked(a.prefix) == route.base;
  });
}

// Another address of the prefix if it has one, which is nobody's own: the one that a question about the prefix is asked
// with.
inet::IpAddress with_bit_flipped(const inet::IpAddress& ip, uint8_t prefix) {
  if (prefix == ip.bits()) return ip;
  std::array<uint8_t, 16> bytes{};
  const ByteView given = ip.bytes();
  std::copy(given.begin(), given.end(), bytes.begin());
  bytes[given.size() - 1] ^= prefix + 2 <= ip.bits() ? 2 : 1;
  return ip.is_v4() ? inet::IpAddress::v4(load_be32(bytes.data())) : inet::IpAddress::v6(bytes);
}

}  // namespace

std::vector<inet::Cidr> kernel_routes(const TunSettings& settings) {
  std::vector<inet::Cidr> out;
  auto add = [&](const inet::Cidr& route) {
    if (!has(out, route) && !is_own_prefix(settings, route)) out.push_back(route);
  };
  for (const inet::Cidr& route : settings.routes) {
    if (route.prefix != 0) {
      add(route);
      continue;
    }
    inet::Cidr half = route;
    half.prefix = 1;
    add(half);
    add(route.base.is_v4() ? *inet::Cidr::parse("128.0.0.0/1") : *inet::Cidr::parse("8000::/1"));
  }
  return out;
}

Result<void> TunInterface::apply(const TunSettings& settings) {
  auto netlink = Netlink::open();
  if (!netlink) return netlink.error();
  if (mtu_ == 0 && stays_) {
    auto before = netlink->link(index_);
    if (!before) return before.error();
    before_ = *before;
  } else if (mtu_ == 0) {
    (void)netlink->disable_ipv6_autoconf(index_);  // a courtesy; fe80:: noise is filtered anyway
  }
  if (auto result = netlink->set_up(index_, settings.mtu); !result) return result;
  auto routes = kernel_routes(settings);
  auto old_addresses = addresses_;
  auto old_routes = routes_;
  std::vector<inet::IpAddress> old_pins;
  for (const Pin& pin : pins_) old_pins.push_back(pin.ip);
  auto result = pin_outside(*netlink, settings.outside, routes);
  if (result) result = add_missing(*netlink, settings.addresses, routes);
  if (!result) {
    unpin(*netlink, old_pins);
    if (keep_only(*netlink, old_addresses, old_routes)) (void)set_again(*netlink);
    if (mtu_ != 0) (void)netlink->set_up(index_, mtu_);
    if (mtu_ == 0 && stays_) (void)netlink->set_link(index_, before_);
    return result;
  }
  unpin(*netlink, settings.outside);
  mtu_ = settings.mtu;
  // With a primary IPv4 address go its secondary ones, and with the last address the device's routes.
  if (keep_only(*netlink, settings.addresses, routes)) return set_again(*netlink);
  return {};
}

Result<void> TunInterface::keep_outside(const std::vector<inet::IpAddress>& addresses, bool afresh) {
  auto netlink = Netlink::open();
  if (!netlink) return netlink.error();
  if (afresh) {
    for (const auto& ip : addresses) (void)netlink->delete_host_route(ip);
    std::erase_if(pins_, [&](const Pin& pin) { return has(addresses, pin.ip); });
  }
  return pin_outside(*netlink, addresses, routes_);
}

// Before new routes hide the way. Where the old ones hide it already (the server has moved, or the host's network
// has changed under a host route of ours), they are lifted for the question.
Result<void> TunInterface::pin_outside(Netlink& netlink, const std::vector<inet::IpAddress>& outside,
                                       const std::vector<inet::Cidr>& routes) {
  bool lifted = false;
  Result<void> result;
  for (const auto& ip : outside) {
    auto covers = [&](const inet::Cidr& route) { return route.contains(ip); };
    if (std::none_of(routes.begin(), routes.end(), covers)) continue;
    auto path = netlink.path_to(ip);
    if (path && path->index == index_ && !lifted) {
      for (const auto& route : routes_) (void)netlink.delete_route(index_, route);
      lifted = true;
      path = netlink.path_to(ip);
    }
    result = path ? pin(netlink, ip, *path) : Result<void>(path.error());
    if (!result) break;
  }
  if (lifted) {
    auto again = set_again(netlink);
    if (result) result = again;
  }
  return result;
}

Result<void> TunInterface::pin(Netlink& netlink, const inet::IpAddress& ip, const Path& path) {
  if (path.local || path.index == index_) return {};
  auto mine = [&](const Pin& pin) { return pin.ip == ip; };
  auto result = netlink.add_host_route(ip, path);
  if (!result && path.gateway && !path.onlink) {
    // A gateway outside of every prefix, as `onlink` routes have: the kernel has named it for this interface itself.
    const int why = result.error().system_errno;
    if (why == ENETUNREACH || why == EINVAL || why == EHOSTUNREACH) {
      Path onlink = path;
      onlink.onlink = true;
      return pin(netlink, ip, onlink);
    }
  }
  if (!result && result.error().system_errno == EEXIST) {
    if (std::any_of(pins_.begin(), pins_.end(), mine)) return {};
    // The host's own stays. What a dead process has left becomes ours, so that it goes in the end.
    if (!netlink.delete_host_route(ip)) return {};
    result = netlink.add_host_route(ip, path);
  }
  if (!result) return result;
  std::erase_if(pins_, mine);
  pins_.push_back({ip, path});
  return {};
}

void TunInterface::unpin(Netlink& netlink, const std::vector<inet::IpAddress>& keep) {
  std::erase_if(pins_, [&](const Pin& pin) {
    if (has(keep, pin.ip)) return false;
    (void)netlink.delete_host_route(pin.ip, pin.path);
    return true;
  });
}

// The family is switched off here, as IPv6 is in many containers: no reason to go without the other one.
bool TunInterface::is_absent(const Error& error) noexcept {
  const int why = error.system_errno;
  return why == EACCES || why == EOPNOTSUPP || why == EAFNOSUPPORT;
}

Result<void> TunInterface::add_missing(Netlink& netlink, const std::vector<InterfaceAddress>& addresses,
                                       const std::vector<inet::Cidr>& routes) {
  for (const auto& address : addresses) {
    if (has(addresses_, address)) continue;
    auto result = netlink.add_address(index_, address.ip, address.prefix);
    // Somebody set it on an adopted device before us: then it is theirs to remove.
    if (!result && result.error().system_errno == EEXIST) continue;
    if (!result && address.ip.is_v6() && is_absent(result.error())) continue;
    if (!result) return result;
    addresses_.push_back(address);
  }
  for (const auto& route : routes) {
    if (has(routes_, route)) continue;
    auto result = netlink.add_route(index_, route);
    if (!result && route.base.is_v6() && is_absent(result.error())) continue;
    // As an address that was there: it is theirs to remove.
    if (!result && stays_ && result.error().system_errno == EEXIST &&
        leads_here(netlink, with_bit_flipped(route.base, route.prefix)))
      continue;
    if (!result) return result;
    routes_.push_back(route);
  }
  return {};
}

bool TunInterface::keep_only(Netlink& netlink, const std::vector<InterfaceAddress>& addresses,
                             const std::vector<inet::Cidr>& routes) {
  std::erase_if(routes_, [&](const inet::Cidr& route) {
    if (has(routes, route)) return false;
    (void)netlink.delete_route(index_, route);
    return true;
  });
  return std::erase_if(addresses_, [&](const InterfaceAddress& address) {
           if (has(addresses, address)) return false;
           (void)netlink.delete_address(index_, address.ip, address.prefix);
           return true;
         }) > 0;
}

// The first failure is told, and the rest is set all the same.
Result<void> TunInterface::set_again(Netlink& netlink, size_t* count) {
  Result<void> out;
  auto note = [&](Result<void> result) {
    if (result && count) ++*count;
    if (!result && result.error().system_errno != EEXIST && out) out = std::move(result);
  };
  for (const auto& address : addresses_) note(netlink.add_address(index_, address.ip, address.prefix));
  for (const auto& route : routes_) note(netlink.add_route(index_, route));
  return out;
}

bool TunInterface::leads_here(Netlink& netlink, const inet::IpAddress& ip) const {
  auto path = netlink.path_to(ip);
  return path && path->index == index_;
}

void TunInterface::renew_without_prefix(Netlink& netlink) {
  std::erase_if(crossed_, [&](const InterfaceAddress& address) {
    return leads_here(netlink, with_bit_flipped(address.ip, address.prefix));
  });
  for (const auto& address : addresses_) {
    if (address.prefix == address.ip.bits() || has(crossed_, address)) continue;
    const inet::IpAddress neighbour = with_bit_flipped(address.ip, address.prefix);
    if (leads_here(netlink, neighbour)) continue;
    (void)netlink.delete_address(index_, address.ip, address.prefix);
    (void)netlink.add_address(index_, address.ip, address.prefix);
    if (!leads_here(netlink, neighbour)) crossed_.push_back(address);
  }
}

Result<TunInterface::Look> TunInterface::look_after() {
  Look look;
  if (mtu_ == 0) return look;
  auto netlink = Netlink::open();
  if (!netlink) return netlink.error();
  auto state = netlink->link(index_);
  if (!state) return state.error();
  look.up = state->up;
  if (!look.up) return look;
  auto set = set_again(*netlink, &look.set_again);
  renew_without_prefix(*netlink);
  // With a primary IPv4 address go its secondary ones.
  if (set) set = set_again(*netlink, &look.set_again);
  if (!set) return set.error();
  return look;
}

void TunInterface::remove_all() noexcept {
  if (!stays_ && pins_.empty()) return;
  try {
    auto netlink = Netlink::open();
    if (!netlink) return;
    unpin(*netlink, {});
    if (stays_) (void)keep_only(*netlink, {}, {});
    if (stays_ && mtu_ != 0) (void)netlink->set_link(index_, before_);
  } catch (const std::bad_alloc&) {
    return;  // the kernel keeps them until the host removes its device
  }
}

}  // namespace smartvpn::forward
