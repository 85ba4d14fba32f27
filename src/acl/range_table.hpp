// A set of integers as merged ranges, searched in a number of steps that follows the shape of the
// ranges and hardly their number: ranges are spread over slots by their position in the span, and
// crowded slots have slots of their own. Immutable after seal(). The ground under AddressSet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/uint128.hpp"

namespace smartvpn::acl {

using U128 = Uint128;

template <class Key>  // uint32_t (IPv4) or U128 (IPv6)
class RangeTable {
 public:
  // Adds first..last, both in the set; first <= last. Before seal() only.
  void add(Key first, Key last) { ranges_.push_back({first, last}); }
  // Sorts, merges what overlaps or touches, and builds the slots.
  void seal();

  bool contains(Key key) const noexcept;
  bool empty() const noexcept { return ranges_.empty(); }
  size_t range_count() const noexcept { return ranges_.size(); }  // after merging
  // Half of all keys or more are in the set.
  bool covers_half() const noexcept;

 private:
  struct Range {
    Key first, last;
  };
  // The keys of one crowd: slot n holds the ranges that begin in base + [n, n+1) << shift.
  struct Node {
    Key base;
    uint32_t first_slot, slots;
    uint32_t shift;
  };
  struct Slot {
    uint32_t begin;  // index of its first range; the next slot's `begin` is its end
    uint32_t node;   // 1 + index of its own node; 0: search it directly
  };
  static constexpr uint32_t kCrowd = 8;  // ranges searched one by one

  uint32_t build(uint32_t begin, uint32_t end);
  // Index of the first range that begins after `key`.
  uint32_t upper_bound(Key key) const noexcept;

  std::vector<Range> ranges_;
  std::vector<Node> nodes_;  // the first holds everything; none when there is no crowd
  std::vector<Slot> slots_;  // of all nodes, each with one more as its end
};

extern template class RangeTable<uint32_t>;
extern template class RangeTable<U128>;

}  // namespace smartvpn::acl
