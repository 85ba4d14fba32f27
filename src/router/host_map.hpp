// A flat hash map from one address to a small value: open addressing, linear probing, no tombstones.
// Keys are addresses that the configuration, the registry or the lease table chose, never a peer.
#pragma once

#include <utility>
#include <vector>

#include "inet/address.hpp"

namespace smartvpn::router {

// Spread only; computed once for a lookup in several maps.
inline size_t host_hash(const inet::IpAddress& ip) noexcept {
  const uint8_t* bytes = ip.bytes().data();
  uint64_t h = load_be32(bytes) * 0x9e3779b97f4a7c15ull;
  if (ip.is_v6())
    h = ((h ^ load_be32(bytes + 4)) * 0xff51afd7ed558ccdull ^ load_be64(bytes + 8)) * 0xc4ceb9fe1a85ec53ull;
  return static_cast<size_t>(h ^ h >> 32);
}

template <class T>
class HostMap {
 public:
  // Null when absent. Pointers are valid until the next change.
  const T* find(const inet::IpAddress& ip) const noexcept { return find(ip, host_hash(ip)); }
  const T* find(const inet::IpAddress& ip, size_t hash) const noexcept {
    if (size_ == 0) return nullptr;
    for (size_t i = hash & (slots_.size() - 1);; i = next(i)) {
      if (!slots_[i].key) return nullptr;
      if (slots_[i].key == ip) return &slots_[i].value;
    }
  }

  T* find(const inet::IpAddress& ip) noexcept { return const_cast<T*>(std::as_const(*this).find(ip)); }

  void set(const inet::IpAddress& ip, const T& value) {
    if ((size_ + 1) * 2 > slots_.size()) grow();
    size_t i = home(ip);
    while (slots_[i].key && slots_[i].key != ip) i = next(i);
    if (!slots_[i].key) ++size_;
    slots_[i] = {ip, value};
  }

  bool erase(const inet::IpAddress& ip) noexcept {
    if (size_ == 0) return false;
    size_t hole = home(ip);
    while (slots_[hole].key != ip) {
      if (!slots_[hole].key) return false;
      hole = next(hole);
    }
    // Every follower whose home is not between the hole and itself moves up, so probes stay unbroken.
    for (size_t i = next(hole); slots_[i].key; i = next(i)) {
      size_t mask = slots_.size() - 1;
      if (((i - home(slots_[i].key)) & mask) < ((i - hole) & mask)) continue;
      slots_[hole] = slots_[i];
      hole = i;
    }
    slots_[hole] = {};
    --size_;
    return true;
  }

  void clear() noexcept {
    slots_.clear();
    size_ = 0;
  }
  size_t size() const noexcept { return size_; }

 private:
  struct Slot {
    inet::IpAddress key;
    T value{};
  };
  size_t home(const inet::IpAddress& ip) const noexcept { return host_hash(ip) & (slots_.size() - 1); }
  size_t next(size_t i) const noexcept { return (i + 1) & (slots_.size() - 1); }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
    old.swap(slots_);
    size_ = 0;
    for (auto& slot : old)
      if (slot.key) set(slot.key, slot.value);
  }

  std::vector<Slot> slots_;
  size_t size_ = 0;
};

}  // namespace smartvpn::router
