// Building and searching the slots. A crowd is spread over about as many slots as it has ranges, so
// a search is a few steps for any list that is not made to defeat it, and at worst one step for every
// four bits of the key.
#include "acl/range_table.hpp"

#include <algorithm>
#include <bit>

namespace smartvpn::acl {
namespace {

uint32_t bit_width(uint32_t value) noexcept { return static_cast<uint32_t>(std::bit_width(value)); }
uint32_t bit_width(U128 value) noexcept {
  auto high = static_cast<uint64_t>(value >> 64);
  return static_cast<uint32_t>(high != 0 ? 64 + std::bit_width(high) : std::bit_width(static_cast<uint64_t>(value)));
}

}  // namespace

template <class Key>
void RangeTable<Key>::seal() {
  std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
  size_t kept = 0;
  for (const Range& next : ranges_) {
    bool touches = kept > 0 && (next.first <= ranges_[kept - 1].last || next.first - 1 == ranges_[kept - 1].last);
    if (touches) {
      ranges_[kept - 1].last = std::max(ranges_[kept - 1].last, next.last);
    } else {
      ranges_[kept++] = next;
    }
  }
  ranges_.resize(kept);
  ranges_.shrink_to_fit();
  nodes_.clear();
  slots_.clear();
  if (kept > kCrowd) build(0, static_cast<uint32_t>(kept));
}

// Spreads ranges begin..end-1, more than kCrowd of them, and gives the index of their node.
template <class Key>
uint32_t RangeTable<Key>::build(uint32_t begin, uint32_t end) {
  uint32_t id = static_cast<uint32_t>(nodes_.size());
  Key base = ranges_[begin].first;
  Key span = ranges_[end - 1].first - base;
  uint32_t slot_bits = bit_width(end - begin - 1);
  uint32_t shift = bit_width(span) > slot_bits ? bit_width(span) - slot_bits : 0;
  uint32_t slots = static_cast<uint32_t>(span >> shift) + 1;
  uint32_t first_slot = static_cast<uint32_t>(slots_.size());
  nodes_.push_back({base, first_slot, slots, shift});
  slots_.resize(slots_.size() + slots + 1);

  uint32_t next = begin;
  for (uint32_t i = 0; i <= slots; ++i) {
    while (next < end && static_cast<uint32_t>((ranges_[next].first - base) >> shift) < i) ++next;
    slots_[first_slot + i] = {next, 0};
  }
  for (uint32_t i = first_slot; i < first_slot + slots; ++i) {
    uint32_t from = slots_[i].begin, to = slots_[i + 1].begin;
    if (to - from > kCrowd) {
      uint32_t node = build(from, to);  // moves slots_
      slots_[i].node = node + 1;
    }
  }
  return id;
}

template <class Key>
uint32_t RangeTable<Key>::upper_bound(Key key) const noexcept {
  uint32_t begin = 0, end = static_cast<uint32_t>(ranges_.size());
  const Node* node = nodes_.empty() ? nullptr : nodes_.data();
  while (node != nullptr) {
    const Slot* slot = &slots_[node->first_slot];
    if (key < node->base) return slot->begin;
    Key place = (key - node->base) >> node->shift;
    if (place >= node->slots) return slot[node->slots].begin;
    slot += static_cast<uint32_t>(place);
    begin = slot->begin;
    end = slot[1].begin;
    node = slot->node != 0 ? &nodes_[slot->node - 1] : nullptr;
  }
  while (begin < end && ranges_[begin].first <= key) ++begin;
  return begin;
}

template <class Key>
bool RangeTable<Key>::contains(Key key) const noexcept {
  uint32_t after = upper_bound(key);
  return after > 0 && key <= ranges_[after - 1].last;
}

template <class Key>
bool RangeTable<Key>::covers_half() const noexcept {
  constexpr Key kHalf = Key{1} << (8 * sizeof(Key) - 1);
  Key total = 0;
  for (const Range& range : ranges_) {
    if (range.last - range.first >= kHalf - 1) return true;
    total += range.last - range.first + 1;
    if (total >= kHalf) return true;
  }
  return false;
}

template class RangeTable<uint32_t>;
template class RangeTable<U128>;

}  // namespace smartvpn::acl
