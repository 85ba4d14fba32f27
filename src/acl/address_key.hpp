// Addresses as the integers that range tables hold.
#pragma once

#include <string>
#include <string_view>

#include "acl/range_table.hpp"
#include "base/result.hpp"
#include "inet/address.hpp"

namespace smartvpn::acl {

// `ip` is IPv6.
inline U128 v6_key(const inet::IpAddress& ip) noexcept {
  const uint8_t* bytes = ip.bytes().data();
  return U128{load_be64(bytes)} << 64 | load_be64(bytes + 8);
}

// Adds first..last of one family to the table of that family.
inline void add_range(RangeTable<uint32_t>& v4, RangeTable<U128>& v6, const inet::IpAddress& first,
                      const inet::IpAddress& last) {
  if (first.is_v4()) {
    v4.add(first.v4_host_order(), last.v4_host_order());
  } else {
    v6.add(v6_key(first), v6_key(last));
  }
}

inline bool contains(const RangeTable<uint32_t>& v4, const RangeTable<U128>& v6, const inet::IpAddress& ip) noexcept {
  if (ip.is_v4()) return v4.contains(ip.v4_host_order());
  return ip.is_v6() && v6.contains(v6_key(ip));
}

// An Error about one entry of a list; a long entry is shown in part.
inline Error entry_error(std::string_view path, size_t index, const std::string& entry, const char* what) {
  std::string shown = entry.size() > 64 ? entry.substr(0, 64) + "..." : entry;
  return make_error(Status::INVALID, "\"" + shown + "\" " + what, std::string(path) + "/" + std::to_string(index));
}

}  // namespace smartvpn::acl
