// Walking through the attributes of a netlink message; what does not fit ends the walk.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.hpp"

namespace smartvpn::forward {

// Calls fn(type, value) for each.
template <class Fn>
void for_each_attribute(ByteView rest, Fn&& fn) {
  while (rest.size() >= sizeof(rtattr)) {
    rtattr head;
    std::memcpy(&head, rest.data(), sizeof head);
    if (head.rta_len < sizeof head || head.rta_len > rest.size()) return;
    fn(static_cast<uint16_t>(head.rta_type & NLA_TYPE_MASK), rest.first(head.rta_len).subspan(sizeof head));
    rest = rest.subspan(std::min<size_t>(rest.size(), RTA_ALIGN(head.rta_len)));
  }
}

// What follows a message's fixed part of `head` bytes.
inline ByteView attributes_behind(ByteView body, size_t head) {
  return body.subspan(std::min<size_t>(body.size(), NLMSG_ALIGN(head)));
}

}  // namespace smartvpn::forward
