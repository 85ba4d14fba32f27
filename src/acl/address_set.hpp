// A compiled, immutable list of addresses: what block lists, allow lists and real-address rules are
// made of. Both families, always; IPv4-mapped texts and addresses are IPv4.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "acl/range_table.hpp"
#include "base/result.hpp"
#include "inet/address.hpp"

namespace smartvpn::acl {

class AddressSet {
 public:
  AddressSet() = default;  // empty: contains nothing

  // Entries, without spaces:
  //   192.0.2.7, 2001:db8::7           one address
  //   10.0.0.0/8, 2001:db8::/32        a prefix; host bits are ignored
  //   10.0.0.5-10.0.0.9                a range, both ends in it, of one family, in order
  //   10.0.*.*, 10.*.*.1               IPv4, any number in an octet
  //   *                                every address of both families
  // An entry that is none of these is INVALID with path `<path>/<index>`. No entries: the empty set.
  static Result<AddressSet> compile(std::span<const std::string> entries, std::string_view path);

  // Any thread. False for an address of no family.
  bool contains(const inet::IpAddress& ip) const noexcept;
  bool empty() const noexcept { return v4_.empty() && v6_.empty() && masks_.empty(); }

 private:
  // Null when the entry is one, else what is wrong with it.
  const char* add(std::string_view entry);
  const char* add_wildcard(std::string_view entry);
  void seal();

  // Entries with a '*' before a number: octets rearranged, fixed ones first, they are ranges again.
  struct MaskGroup {
    uint8_t fixed = 0;  // bit 3 for the first octet .. bit 0 for the last: the octet is given
    RangeTable<uint32_t> table;
  };
  RangeTable<uint32_t> v4_;
  RangeTable<U128> v6_;
  std::vector<MaskGroup> masks_;  // at most 11, one for each arrangement
};

}  // namespace smartvpn::acl
