// See netlink.hpp; formats are those of rtnetlink(7).
#include "forward/tun/netlink.hpp"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/bytes.hpp"
#include "base/descriptor.hpp"
#include "forward/tun/netlink_attributes.hpp"

namespace smartvpn::forward {
namespace {

constexpr uint8_t kAddrGenModeNone = 1;  // IN6_ADDR_GEN_MODE_NONE
// Marks host routes as ours (shown as `proto 83`), since they outlive a process that dies. 83 is nobody's in
// rtnetlink.h or iproute2's list.
constexpr uint8_t kHostRoute = 83;

uint8_t family_of(const inet::IpAddress& ip) { return ip.is_v4() ? AF_INET : AF_INET6; }

// Reads the path out of the kernel's answer to RTM_GETROUTE.
void read_path(ByteView body, Path& path) {
  rtmsg route;
  if (body.size() < sizeof route) return;
  std::memcpy(&route, body.data(), sizeof route);
  path.local = route.rtm_type == RTN_LOCAL;
  for_each_attribute(attributes_behind(body, sizeof route), [&](uint16_t type, ByteView value) {
    if (type == RTA_OIF && value.size() == 4) std::memcpy(&path.index, value.data(), 4);
    if (type == RTA_GATEWAY && value.size() == 4) path.gateway = inet::IpAddress::v4(load_be32(value.data()));
    if (type == RTA_GATEWAY && value.size() == 16) path.gateway = inet::IpAddress::v6(value.first<16>());
  });
}

void read_link(ByteView body, LinkState& state) {
  ifinfomsg link;
  if (body.size() < sizeof link) return;
  std::memcpy(&link, body.data(), sizeof link);
  state.up = (link.ifi_flags & IFF_UP) != 0;
  for_each_attribute(attributes_behind(body, sizeof link), [&](uint16_t type, ByteView value) {
    if (type == IFLA_MTU && value.size() == 4) std::memcpy(&state.mtu, value.data(), 4);
  });
}

// IFLA_TUN_PI, two levels down in the kernel's answer to RTM_GETLINK.
bool read_packet_information(ByteView body) {
  bool out = false;
  for_each_attribute(attributes_behind(body, sizeof(ifinfomsg)), [&](uint16_t type, ByteView link_info) {
    if (type != IFLA_LINKINFO) return;
    for_each_attribute(link_info, [&](uint16_t kind, ByteView data) {
      if (kind != IFLA_INFO_DATA) return;
      for_each_attribute(data, [&](uint16_t what, ByteView value) {
        if (what == IFLA_TUN_PI && value.size() == 1) out = value[0] != 0;
      });
    });
  });
  return out;
}

}  // namespace

// A request under construction. What we send is of known size, so the room always suffices.
class Netlink::Message {
 public:
  Message(uint16_t type, uint16_t flags) {
    head_.nlmsg_type = type;
    head_.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  }
  // About one interface. Of its flags those in `change` are set as in `flags`.
  Message(uint16_t type, int index, unsigned flags, unsigned change) : Message(type, 0) {
    ifinfomsg link{};
    link.ifi_index = index;
    link.ifi_flags = flags;
    link.ifi_change = change;
    body(link);
  }
  template <class T>
  void body(const T& value) {
    put(&value, sizeof value);
  }
  void attribute(uint16_t type, ByteView value) {
    size_t at = begin(type);
    put(value.data(), value.size());
    end(at);
  }
  void attribute_u32(uint16_t type, uint32_t value) {
    attribute(type, {reinterpret_cast<const uint8_t*>(&value), sizeof value});
  }
  size_t begin(uint16_t type) {
    size_t at = size_;
    rtattr head{0, type};
    put(&head, sizeof head);
    return at;
  }
  void end(size_t at) {
    uint16_t length = static_cast<uint16_t>(size_ - at);
    std::memcpy(bytes_.data() + at, &length, sizeof length);  // rta_len comes first
    size_ = NLMSG_ALIGN(size_);
  }
  ByteView finish(uint32_t sequence) {
    head_.nlmsg_len = static_cast<uint32_t>(size_);
    head_.nlmsg_seq = sequence;
    std::memcpy(bytes_.data(), &head_, sizeof head_);
    return ByteView(bytes_).first(size_);
  }

 private:
  void put(const void* data, size_t size) {
    std::memcpy(bytes_.data() + size_, data, size);
    size_ += size;
  }
  nlmsghdr head_{};
  std::array<uint8_t, 256> bytes_{};
  size_t size_ = NLMSG_HDRLEN;
};

Result<Netlink> Netlink::open() {
  net::Fd fd(above_standard(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)));
  if (!fd) return system_error(errno, "cannot open rtnetlink");
  return Netlink(std::move(fd));
}

Result<void> Netlink::transact(Message& message, const char* what, const OnReply& on_reply) {
  ByteView request = message.finish(++sequence_);
  if (::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return system_error(errno, what);
  for (;;) {
    alignas(nlmsghdr) std::array<uint8_t, 8192> reply;
    ssize_t n = ::recv(fd_.get(), reply.data(), reply.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(errno, what);
    ByteView rest = ByteView(reply).first(static_cast<size_t>(n));
    nlmsghdr head;
    while (rest.size() >= NLMSG_HDRLEN) {
      std::memcpy(&head, rest.data(), sizeof head);
      if (head.nlmsg_len < NLMSG_HDRLEN || head.nlmsg_len > rest.size()) break;
      ByteView body = rest.first(head.nlmsg_len).subspan(NLMSG_HDRLEN);
      rest = rest.subspan(std::min<size_t>(rest.size(), NLMSG_ALIGN(head.nlmsg_len)));
      if (head.nlmsg_seq != sequence_) continue;
      if (head.nlmsg_type >= NLMSG_MIN_TYPE && on_reply) on_reply(head.nlmsg_type, body);
      nlmsgerr answer;
      if (head.nlmsg_type != NLMSG_ERROR || body.size() < sizeof answer.error) continue;
      std::memcpy(&answer.error, body.data(), sizeof answer.error);
      if (answer.error != 0) return system_error(-answer.error, what);
      return {};
    }
  }
}

Result<void> Netlink::set_up(int index, uint16_t mtu) {
  Message message(RTM_NEWLINK, index, IFF_UP, IFF_UP);
  message.attribute_u32(IFLA_MTU, mtu);
  return transact(message, "cannot set MTU and bring the interface up");
}

Result<void> Netlink::set_link(int index, const LinkState& state) {
  Message message(RTM_NEWLINK, index, state.up ? IFF_UP : 0, IFF_UP);
  message.attribute_u32(IFLA_MTU, state.mtu);
  return transact(message, "cannot set the interface back");
}

Result<LinkState> Netlink::link(int index) {
  Message message(RTM_GETLINK, index, 0, 0);
  LinkState state;
  auto result = transact(message, "cannot look at the interface", [&](uint16_t type, ByteView body) {
    if (type == RTM_NEWLINK) read_link(body, state);
  });
  if (!result) return result.error();
  return state;
}

Result<void> Netlink::disable_ipv6_autoconf(int index) {
  Message message(RTM_NEWLINK, index, 0, 0);
  size_t spec = message.begin(IFLA_AF_SPEC | NLA_F_NESTED);
  size_t v6 = message.begin(AF_INET6 | NLA_F_NESTED);
  message.attribute(IFLA_INET6_ADDR_GEN_MODE, {&kAddrGenModeNone, 1});
  message.end(v6);
  message.end(spec);
  return transact(message, "cannot switch IPv6 autoconfiguration off");
}

Result<bool> Netlink::has_packet_information(int index) {
  Message message(RTM_GETLINK, index, 0, 0);
  bool out = false;
  auto result = transact(message, "cannot look at the device", [&](uint16_t type, ByteView body) {
    if (type == RTM_NEWLINK) out = read_packet_information(body);
  });
  if (!result) return result.error();
  return out;
}

Result<void> Netlink::address(uint16_t type, uint16_t flags, int index, const inet::IpAddress& ip, uint8_t prefix) {
  Message message(type, flags);
  ifaddrmsg address{};
  address.ifa_family = family_of(ip);
  address.ifa_prefixlen = prefix;
  address.ifa_index = static_cast<uint32_t>(index);
  message.body(address);
  message.attribute(IFA_LOCAL, ip.bytes());
  message.attribute(IFA_ADDRESS, ip.bytes());
  if (ip.is_v6()) message.attribute_u32(IFA_FLAGS, IFA_F_NODAD);
  std::string what = "address " + ip.text() + "/" + std::to_string(prefix);
  return transact(message, what.c_str());
}

Result<void> Netlink::add_address(int index, const inet::IpAddress& ip, uint8_t prefix) {
  return address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, ip, prefix);
}

Result<void> Netlink::delete_address(int index, const inet::IpAddress& ip, uint8_t prefix) {
  return address(RTM_DELADDR, 0, index, ip, prefix);
}

// A path of no interface, to be deleted, is any.
Result<void> Netlink::route(uint16_t type, uint16_t flags, const Path& path, const inet::Cidr& destination,
                            uint8_t protocol) {
  Message message(type, flags);
  rtmsg route{};
  route.rtm_family = family_of(destination.base);
  route.rtm_dst_len = destination.prefix;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = protocol;
  route.rtm_scope = destination.base.is_v4() && !path.gateway ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  if (path.index == 0) route.rtm_scope = RT_SCOPE_NOWHERE;
  if (path.onlink) route.rtm_flags = RTNH_F_ONLINK;
  route.rtm_type = RTN_UNICAST;
  message.body(route);
  message.attribute(RTA_DST, destination.base.bytes());
  if (path.gateway) message.attribute(RTA_GATEWAY, path.gateway.bytes());
  if (path.index != 0) message.attribute_u32(RTA_OIF, static_cast<uint32_t>(path.index));
  std::string what = "route " + destination.text();
  return transact(message, what.c_str());
}

Result<void> Netlink::add_route(int index, const inet::Cidr& destination) {
  return route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, Path{index, {}, false}, destination, RTPROT_STATIC);
}

Result<void> Netlink::delete_route(int index, const inet::Cidr& destination) {
  return route(RTM_DELROUTE, 0, Path{index, {}, false}, destination, RTPROT_STATIC);
}

Result<Path> Netlink::path_to(const inet::IpAddress& ip) {
  Message message(RTM_GETROUTE, 0);
  rtmsg route{};
  route.rtm_family = family_of(ip);
  route.rtm_dst_len = static_cast<uint8_t>(ip.bits());
  message.body(route);
  message.attribute(RTA_DST, ip.bytes());
  Path path;
  std::string what = "way to " + ip.text();
  auto result = transact(message, what.c_str(), [&](uint16_t type, ByteView body) {
    if (type == RTM_NEWROUTE) read_path(body, path);
  });
  if (!result) return result.error();
  return path;
}

Result<void> Netlink::add_host_route(const inet::IpAddress& ip, const Path& path) {
  return route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, path, {ip, static_cast<uint8_t>(ip.bits())}, kHostRoute);
}

Result<void> Netlink::delete_host_route(const inet::IpAddress& ip, const Path& path) {
  return route(RTM_DELROUTE, 0, path, {ip, static_cast<uint8_t>(ip.bits())}, kHostRoute);
}

Result<void> Netlink::delete_host_route(const inet::IpAddress& ip) { return delete_host_route(ip, Path{}); }

}  // namespace smartvpn::forward
