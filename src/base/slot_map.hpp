// Objects addressed by an id with a generation. What outlives a callback or crosses a queue holds
// such an id, never a pointer: a stale id finds nothing instead of somebody else.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace smartvpn {

// Ids are never 0 and stay below 2^53 (24 bits of slot, 28 of generation) so that JSON keeps them.
template <class T>
class SlotMap {
 public:
  using Id = uint64_t;
  static constexpr uint32_t kMaxSlots = 1u << 24;

  SlotMap() = default;
  // With a random `seed` the ids of one map say nothing to another of its kind.
  explicit SlotMap(uint32_t seed) : first_generation_(1 + seed % kMaxGeneration) {}

  // 0 when all slots are taken. Throws std::bad_alloc with nothing changed; remove() never does.
  Id insert(std::unique_ptr<T> value) {
    uint32_t slot;
    if (!free_.empty()) {
      slot = free_.back();
      free_.pop_back();
    } else {
      if (slots_.size() >= kMaxSlots) return 0;
      slot = static_cast<uint32_t>(slots_.size());
      if (free_.capacity() <= slot) free_.reserve(2 * size_t{slot} + 8);
      slots_.push_back({nullptr, first_generation_});
    }
    slots_[slot].value = std::move(value);
    ++size_;
    return make_id(slot, slots_[slot].generation);
  }

  // The id that the next insert will give, for values that must know their own id.
  Id next_id() const {
    if (!free_.empty()) return make_id(free_.back(), slots_[free_.back()].generation);
    return slots_.size() < kMaxSlots ? make_id(static_cast<uint32_t>(slots_.size()), first_generation_) : 0;
  }

  T* find(Id id) const {
    uint32_t slot = static_cast<uint32_t>(id & (kMaxSlots - 1));
    if (slot >= slots_.size() || make_id(slot, slots_[slot].generation) != id) return nullptr;
    return slots_[slot].value.get();
  }

  std::unique_ptr<T> remove(Id id) noexcept {
    if (!find(id)) return nullptr;
    uint32_t slot = static_cast<uint32_t>(id & (kMaxSlots - 1));
    Slot& s = slots_[slot];
    std::unique_ptr<T> out = std::move(s.value);
    s.generation = s.generation == kMaxGeneration ? 1 : s.generation + 1;
    free_.push_back(slot);
    --size_;
    return out;
  }

  size_t size() const { return size_; }

  // `fn(Id, T&)` for every value. It may remove the one it is given, and no other.
  template <class Fn>
  void for_each(Fn&& fn) {
    for (uint32_t i = 0; i < slots_.size(); ++i)
      if (slots_[i].value) fn(make_id(i, slots_[i].generation), *slots_[i].value);
  }

 private:
  static constexpr uint32_t kMaxGeneration = (1u << 28) - 1;
  struct Slot {
    std::unique_ptr<T> value;
    uint32_t generation = 1;
  };
  static Id make_id(uint32_t slot, uint32_t generation) { return Id{generation} << 24 | slot; }

  uint32_t first_generation_ = 1;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  size_t size_ = 0;
};

}  // namespace smartvpn
