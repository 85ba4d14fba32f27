// See link_watch.hpp. Between a change and the look at it nothing is read: what overflows meanwhile is no loss,
// because the look finds everything.
#include "forward/tun/link_watch.hpp"

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/descriptor.hpp"
#include "forward/tun/netlink_attributes.hpp"
#include "net/loop.hpp"

namespace smartvpn::forward {
namespace {

constexpr Duration kSettle = milliseconds(50);  // several changes often come together
constexpr Duration kPause = seconds(1);
constexpr int kReadsPerTurn = 64;

// The interface of a message that may have taken something away; 0: none.
int concerned(uint16_t type, ByteView body) {
  int index = 0;
  if (type == RTM_NEWLINK || type == RTM_DELLINK) {
    ifinfomsg link;
    if (body.size() < sizeof link) return 0;
    std::memcpy(&link, body.data(), sizeof link);
    index = link.ifi_index;
  } else if (type == RTM_DELADDR) {
    ifaddrmsg address;
    if (body.size() < sizeof address) return 0;
    std::memcpy(&address, body.data(), sizeof address);
    index = static_cast<int>(address.ifa_index);
  } else if (type == RTM_DELROUTE) {
    for_each_attribute(attributes_behind(body, sizeof(rtmsg)), [&](uint16_t what, ByteView value) {
      if (what == RTA_OIF && value.size() == 4) std::memcpy(&index, value.data(), 4);
    });
  }
  return index;
}

bool concerns(int index, ByteView rest) {
  nlmsghdr head;
  while (rest.size() >= NLMSG_HDRLEN) {
    std::memcpy(&head, rest.data(), sizeof head);
    if (head.nlmsg_len < NLMSG_HDRLEN || head.nlmsg_len > rest.size()) return false;
    if (concerned(head.nlmsg_type, rest.first(head.nlmsg_len).subspan(NLMSG_HDRLEN)) == index) return true;
    rest = rest.subspan(std::min<size_t>(rest.size(), NLMSG_ALIGN(head.nlmsg_len)));
  }
  return false;
}

}  // namespace

LinkWatch::LinkWatch(net::Loop& loop, int index, std::function<void()> on_change)
    : index_(index), on_change_(std::move(on_change)), loop_(loop), timer_(loop, [this] { look(); }) {}

Result<std::unique_ptr<LinkWatch>> LinkWatch::create(net::Loop& loop, int index, std::function<void()> on_change) {
  net::Fd fd(above_standard(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)));
  sockaddr_nl groups{};
  groups.nl_family = AF_NETLINK;
  groups.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&groups), sizeof groups) != 0)
    return system_error(errno, "cannot watch the device");
  std::unique_ptr<LinkWatch> out(new LinkWatch(loop, index, std::move(on_change)));
  auto watcher = net::FdWatcher::create(loop, std::move(fd), *out);
  if (!watcher) return watcher.error();
  out->watcher_ = std::move(*watcher);
  out->watcher_->watch(true, false);
  return out;
}

bool LinkWatch::read_some() {
  alignas(nlmsghdr) std::array<uint8_t, 8192> message;
  bool out = false;
  for (int i = 0; i < kReadsPerTurn; ++i) {
    ssize_t n = ::recv(watcher_->fd(), message.data(), message.size(), 0);
    if (n < 0 && errno == ENOBUFS) out = true;
    if (n < 0 && errno != EINTR && errno != ENOBUFS) return out;
    if (n > 0) out = concerns(index_, ByteView(message).first(static_cast<size_t>(n))) || out;
  }
  return out;
}

void LinkWatch::on_readable() {
  if (!read_some()) return;
  watcher_->watch(false, false);
  timer_.start_at(std::max(loop_.now() + kSettle, last_look_ + kPause));
}

// The kernel had more to say than fitted.
void LinkWatch::on_fd_error() {
  watcher_->watch(false, false);
  timer_.start_at(std::max(loop_.now() + kSettle, last_look_ + kPause));
}

// What was said up to here is about what is looked at now.
void LinkWatch::look() {
  last_look_ = loop_.now();
  (void)read_some();
  watcher_->watch(true, false);
  on_change_();
}

}  // namespace smartvpn::forward
