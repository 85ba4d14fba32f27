// See netlink.hpp; formats are those of rtnetlink(7).
#include "forward/tun/netlink.hpp"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/bytes.hpp"

namespace smartvpn::forward {
namespace {

constexpr uint8_t kAddrGenModeNone = 1;  // IN6_ADDR_GEN_MODE_NONE

uint8_t family_of(const inet::IpAddress& ip) { return ip.is_v4() ? AF_INET : AF_INET6; }

}  // namespace

// A request under construction. What we send is of known size, so the room always suffices.
class Netlink::Message {
 public:
  Message(uint16_t type, uint16_t flags) {
    head_.nlmsg_type = type;
    head_.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
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
  net::Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return system_error(errno, "cannot open rtnetlink");
  return Netlink(std::move(fd));
}

Result<void> Netlink::transact(Message& message, const char* what) {
  ByteView request = message.finish(++sequence_);
  if (::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return system_error(errno, what);
  for (;;) {
    alignas(nlmsghdr) std::array<uint8_t, 8192> reply;
    ssize_t n = ::recv(fd_.get(), reply.data(), reply.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(errno, what);
    nlmsghdr head;
    nlmsgerr answer;
    if (static_cast<size_t>(n) < NLMSG_HDRLEN + sizeof answer) continue;
    std::memcpy(&head, reply.data(), sizeof head);
    if (head.nlmsg_type != NLMSG_ERROR || head.nlmsg_seq != sequence_) continue;
    std::memcpy(&answer, reply.data() + NLMSG_HDRLEN, sizeof answer);
    if (answer.error != 0) return system_error(-answer.error, what);
    return {};
  }
}

Result<void> Netlink::set_up(int index, uint16_t mtu) {
  Message message(RTM_NEWLINK, 0);
  ifinfomsg link{};
  link.ifi_family = AF_UNSPEC;
  link.ifi_index = index;
  link.ifi_flags = link.ifi_change = IFF_UP;
  message.body(link);
  message.attribute_u32(IFLA_MTU, mtu);
  return transact(message, "cannot set MTU and bring the interface up");
}

Result<void> Netlink::disable_ipv6_autoconf(int index) {
  Message message(RTM_NEWLINK, 0);
  ifinfomsg link{};
  link.ifi_index = index;
  message.body(link);
  size_t spec = message.begin(IFLA_AF_SPEC | NLA_F_NESTED);
  size_t v6 = message.begin(AF_INET6 | NLA_F_NESTED);
  message.attribute(IFLA_INET6_ADDR_GEN_MODE, {&kAddrGenModeNone, 1});
  message.end(v6);
  message.end(spec);
  return transact(message, "cannot switch IPv6 autoconfiguration off");
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

Result<void> Netlink::route(uint16_t type, uint16_t flags, int index, const inet::Cidr& destination) {
  Message message(type, flags);
  rtmsg route{};
  route.rtm_family = family_of(destination.base);
  route.rtm_dst_len = destination.prefix;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_scope = destination.base.is_v4() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  route.rtm_type = RTN_UNICAST;
  message.body(route);
  message.attribute(RTA_DST, destination.base.bytes());
  message.attribute_u32(RTA_OIF, static_cast<uint32_t>(index));
  std::string what = "route " + destination.text();
  return transact(message, what.c_str());
}

Result<void> Netlink::add_route(int index, const inet::Cidr& destination) {
  return route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, index, destination);
}

Result<void> Netlink::delete_route(int index, const inet::Cidr& destination) {
  return route(RTM_DELROUTE, 0, index, destination);
}

}  // namespace smartvpn::forward
