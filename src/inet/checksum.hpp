// The Internet checksum (RFC 1071) and its incremental update (RFC 1624). Every sum here is a sum of
// big-endian 16-bit words held in host integers, so that parts can be added in any order as long as
// each starts at an even offset. Pure arithmetic; every packet passes here, so it has to be fast.
#pragma once

#include "base/bytes.hpp"
#include "inet/address.hpp"

namespace smartvpn::inet {

// Any sum folded to 16 bits with end-around carry; 0 only if nothing but zeros was summed.
constexpr uint16_t fold_sum(uint64_t sum) noexcept {
  sum = (sum & 0xffffffffu) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// The folded sum of `bytes`; an odd last byte counts as if a zero byte followed.
uint16_t sum_bytes(ByteView bytes) noexcept;

// The same, of bytes that are copied to `to` on the way; the two must not overlap.
uint16_t copy_and_sum(uint8_t* to, ByteView from) noexcept;

// What goes into a header's checksum field.
constexpr uint16_t finish_sum(uint64_t sum) noexcept { return static_cast<uint16_t>(~fold_sum(sum)); }

// Over bytes that hold a checksum already: 0 if it is right.
inline uint16_t checksum_of(ByteView bytes) noexcept { return finish_sum(sum_bytes(bytes)); }

// Pseudo-header of TCP, UDP and ICMPv6 over the addresses of the IPv4 or IPv6 header at `ip_header`
// (at least 20 or 40 readable bytes; the version is read from it). `length`: transport header + data.
uint32_t pseudo_header_sum(const uint8_t* ip_header, uint8_t protocol, uint32_t length) noexcept;
uint32_t pseudo_header_sum(const IpAddress& src, const IpAddress& dst, uint8_t protocol, uint32_t length) noexcept;

// The checksum after one aligned 16-bit word under it changed from `from` to `to` (RFC 1624, eqn. 3).
constexpr uint16_t update_checksum(uint16_t checksum, uint16_t from, uint16_t to) noexcept {
  return finish_sum(uint64_t{static_cast<uint16_t>(~checksum)} + static_cast<uint16_t>(~from) + to);
}

}  // namespace smartvpn::inet
