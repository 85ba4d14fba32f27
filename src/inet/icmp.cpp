#include "inet/icmp.hpp"

#include "inet/checksum.hpp"
#include "inet/ip_header.hpp"

namespace smartvpn::inet {
namespace {

constexpr uint8_t kOurHopLimit = 64;
constexpr uint8_t kFragmentationNeeded = 4;
constexpr size_t kMaxIcmpV4Error = 576;  // RFC 1812, 4.3.2.3

bool is_echo_request(const InnerPacket& info) noexcept {
  const uint8_t echo = info.version == 4 ? icmp_type::kEcho : icmp_type::kV6Echo;
  return info.has_icmp && !info.fragment && info.icmp_type == echo && info.icmp_code == 0;
}

}  // namespace

bool echo_reply_in_place(ByteSpan packet, const InnerPacket& info) noexcept {
  if (!is_echo_request(info) || info.multicast || info.limited_broadcast || info.unspecified_source()) return false;
  const ByteSpan whole = packet.first(info.total_length);
  if (!transport_checksum_ok(whole, info.transport_offset, info.protocol)) return false;
  uint8_t* p = whole.data();
  if (info.version == 4) {
    std::swap_ranges(p + 12, p + 16, p + 16);
    p[8] = kOurHopLimit;
    refresh_ipv4_checksum(p, info.transport_offset);
  } else {
    std::swap_ranges(p + 8, p + 24, p + 24);
    p[7] = kOurHopLimit;
  }
  // Swapped addresses leave the pseudo-header's sum as it is; only the type changed.
  uint8_t* icmp = p + info.transport_offset;
  const uint16_t before = load_be16(icmp);
  icmp[0] = info.version == 4 ? icmp_type::kEchoReply : icmp_type::kV6EchoReply;
  store_be16(icmp + 2, update_checksum(load_be16(icmp + 2), before, load_be16(icmp)));
  return true;
}

size_t write_too_big(ByteView packet, const InnerPacket& info, uint16_t mtu, const IpAddress& router,
                     ByteSpan out) noexcept {
  if (out.size() < kMaxIcmpError || router.family() != info.src.family()) return 0;
  if (info.has_quote || info.later_fragment() || info.multicast || info.limited_broadcast) return 0;
  if (info.unspecified_source() || info.src.is_multicast() || info.src.is_loopback()) return 0;

  const bool v6 = info.version == 6;
  const size_t header = v6 ? kIpv6HeaderSize : kIpv4HeaderSize;
  const size_t most = (v6 ? kMaxIcmpError : kMaxIcmpV4Error) - header - kIcmpHeaderSize;
  const size_t quote = std::min({most, packet.size(), size_t{info.total_length}});
  const size_t payload = kIcmpHeaderSize + quote;
  uint8_t* icmp = out.data() + header;
  if (v6) {
    write_ipv6_header(out.data(), {.src = router, .dst = info.src, .next_header = ip_protocol::kIcmpV6}, payload);
    icmp[0] = icmp_type::kV6TooBig;
    icmp[1] = 0;
  } else {
    write_ipv4_header(out.data(), {.src = router, .dst = info.src, .protocol = ip_protocol::kIcmp}, payload);
    icmp[0] = icmp_type::kUnreachable;
    icmp[1] = kFragmentationNeeded;
  }
  store_be32(icmp + 4, mtu);  // RFC 1191: the upper half is unused and zero
  std::memcpy(icmp + kIcmpHeaderSize, packet.data(), quote);
  write_transport_checksum(out.first(header + payload), header, v6 ? ip_protocol::kIcmpV6 : ip_protocol::kIcmp);
  return header + payload;
}

IcmpLimiter::IcmpLimiter(uint32_t per_second, uint32_t burst) noexcept
    : interval_(Duration(seconds(1)) / std::max(1u, per_second)), capacity_(interval_ * std::max(1u, burst)) {}

bool IcmpLimiter::allow(Time now) noexcept {
  const Time from = std::max(busy_until_, now);
  if (from - now > capacity_ - interval_) return false;
  busy_until_ = from + interval_;
  return true;
}

}  // namespace smartvpn::inet
