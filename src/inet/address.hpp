// IP addresses, endpoints and prefixes of both families. `::ffff:a.b.c.d` becomes IPv4 on the way
// in, so no list, table or event ever sees the mapped form.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace smartvpn::inet {

enum class Family : uint8_t { none = 0, v4 = 4, v6 = 6 };

class IpAddress {
 public:
  constexpr IpAddress() noexcept = default;  // Family::none
  static IpAddress v4(std::span<const uint8_t, 4> bytes) noexcept;
  static IpAddress v4(uint32_t host_order) noexcept;
  // A mapped address becomes its IPv4 address.
  static IpAddress v6(std::span<const uint8_t, 16> bytes) noexcept;
  // As v6(), but keeps ::ffff:0:0/96 as IPv6; only for judging inner packets.
  static IpAddress v6_verbatim(std::span<const uint8_t, 16> bytes) noexcept;
  // Dotted quad without leading zeros, or RFC 4291 text; no zone, no brackets.
  static std::optional<IpAddress> parse(std::string_view text) noexcept;

  Family family() const noexcept { return family_; }
  bool is_v4() const noexcept { return family_ == Family::v4; }
  bool is_v6() const noexcept { return family_ == Family::v6; }
  explicit operator bool() const noexcept { return family_ != Family::none; }
  int bits() const noexcept { return is_v4() ? 32 : 128; }
  ByteView bytes() const noexcept { return {bytes_.data(), is_v4() ? size_t{4} : size_t{16}}; }
  uint32_t v4_host_order() const noexcept { return load_be32(bytes_.data()); }
  bool bit(int index) const noexcept { return (bytes_[static_cast<size_t>(index) / 8] >> (7 - index % 8)) & 1; }

  bool is_unspecified() const noexcept;
  bool is_loopback() const noexcept;
  bool is_multicast() const noexcept;
  bool is_link_local() const noexcept;

  // First `prefix` bits kept, the rest zero. `prefix` is clamped to the family's width.
  IpAddress masked(int prefix) const noexcept;
  // This address plus n; wraps inside the family.
  IpAddress plus(uint64_t n) const noexcept;

  std::string text() const;  // "192.0.2.7", "2001:db8::7" (RFC 5952), "" for none

  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;
  friend constexpr bool operator==(const IpAddress&, const IpAddress&) = default;

 private:
  Family family_ = Family::none;
  std::array<uint8_t, 16> bytes_{};  // IPv4 in the first four
};

struct Endpoint {
  IpAddress ip;
  uint16_t port = 0;

  // "192.0.2.7:443" or "[2001:db8::7]:443"; the port is required.
  static std::optional<Endpoint> parse(std::string_view text) noexcept;
  std::string text() const;  // "" when ip is none
  explicit operator bool() const noexcept { return static_cast<bool>(ip); }
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// A prefix; host bits are zero. `::ffff:a.b.c.d/(96+n)` is IPv4 /n.
struct Cidr {
  IpAddress base;
  uint8_t prefix = 0;

  // "10.0.0.0/8", "2001:db8::/32", or a bare address (/32, /128). Host bits set: masked away when
  // `lenient`, refused otherwise.
  static std::optional<Cidr> parse(std::string_view text, bool lenient = true) noexcept;
  bool contains(const IpAddress& ip) const noexcept;
  bool overlaps(const Cidr& other) const noexcept;
  IpAddress last() const noexcept;  // highest address of the prefix
  std::string text() const;
  friend auto operator<=>(const Cidr&, const Cidr&) = default;
  friend bool operator==(const Cidr&, const Cidr&) = default;
};

struct IpAddressHash {
  size_t operator()(const IpAddress& ip) const noexcept;
};

// The unit of per-source limits: an IPv4 address, or an IPv6 /64.
IpAddress limit_key(const IpAddress& ip) noexcept;

}  // namespace smartvpn::inet
