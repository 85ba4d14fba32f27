// Which peers may say who somebody else is: the addresses from which a PROXY header (or a real-ip
// HTTP field) is believed. There is no default, and nothing close to "everybody".
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "acl/range_table.hpp"
#include "base/result.hpp"
#include "inet/address.hpp"

namespace smartvpn::acl {

class TrustedProxies {
 public:
  TrustedProxies() = default;  // trusts nobody

  // Addresses and prefixes only; `::ffff:a.b.c.d/(96+n)` is IPv4 /n. INVALID with path
  // `<path>/<index>` for a bad entry, with `path` for an empty list and for one whose entries
  // together cover half of the IPv4 or of the IPv6 addresses or more.
  static Result<TrustedProxies> compile(std::span<const std::string> entries, std::string_view path);

  bool contains(const inet::IpAddress& peer) const noexcept;

 private:
  RangeTable<uint32_t> v4_;
  RangeTable<U128> v6_;
};

}  // namespace smartvpn::acl
