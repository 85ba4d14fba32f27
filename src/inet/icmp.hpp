// The few ICMP messages the gateway speaks itself: echo replies (the `testing` engine) and "too big"
// in both families (RFC 792 and 1191, RFC 4443), with the bound RFC 1812 and 4443 ask for.
#pragma once

#include "base/clock.hpp"
#include "inet/inner_packet.hpp"

namespace smartvpn::inet {

// Turns an echo request into its reply, in place: addresses swapped, type changed, hop limit 64,
// checksums right. `info` is classify()'s answer for these bytes. False, and nothing changed, when it
// is not an unfragmented echo request with a right checksum, or goes to more than one receiver.
bool echo_reply_in_place(ByteSpan packet, const InnerPacket& info) noexcept;

constexpr size_t kMaxIcmpError = 1280;

// Writes the answer to `packet`, which was larger than `mtu`: IPv4 "fragmentation needed" or IPv6
// "packet too big" from `router` (same family as the packet) to the packet's source, quoting as much
// as fits 576 or 1280 bytes. `out` has room for kMaxIcmpError bytes. Gives the size, or 0 when no
// answer may be sent: to an ICMP error, to a later fragment, to or about a group or no address, or
// where the families differ. A super-packet is quoted as it is: the quoted length is then its own.
size_t write_too_big(ByteView packet, const InnerPacket& info, uint16_t mtu, const IpAddress& router,
                     ByteSpan out) noexcept;

// A token bucket for answers the gateway makes up. One for a session, or one for all.
class IcmpLimiter {
 public:
  // `per_second` and `burst` at least 1.
  explicit IcmpLimiter(uint32_t per_second = 10, uint32_t burst = 20) noexcept;
  // True at most burst + per_second * time. `now` never goes back.
  bool allow(Time now) noexcept;

 private:
  Duration interval_, capacity_;
  Time busy_until_{};  // every answer books one interval; at most capacity_ ahead of now
};

}  // namespace smartvpn::inet
