// See index_table.hpp.
#include "transport/wireguard/index_table.hpp"

#include <algorithm>

namespace smartvpn::wireguard {

IndexTable::IndexTable(Rng& rng, unsigned shard, unsigned shards) noexcept
    : rng_(rng), shard_(shard), shards_(std::clamp(shards, 1u, 64u)) {}

uint32_t IndexTable::add(PeerMachine& owner) {
  for (;;) {
    const uint32_t any = rng_.u32();
    const unsigned choices = (256 - shard_ + shards_ - 1) / shards_;  // low bytes that are this shard's
    const uint32_t low = shard_ + shards_ * ((any & 0xff) * choices / 256);
    const uint32_t index = (any & ~0xffu) | low;
    if (index != 0 && owners_.emplace(index, &owner).second) return index;
  }
}

void IndexTable::remove(uint32_t index) noexcept { owners_.erase(index); }

PeerMachine* IndexTable::find(uint32_t index) const noexcept {
  auto it = owners_.find(index);
  return it == owners_.end() ? nullptr : it->second;
}

bool IndexTable::is_ours(uint32_t index) const noexcept { return index % 256 % shards_ == shard_; }

size_t IndexTable::size() const noexcept { return owners_.size(); }

}  // namespace smartvpn::wireguard
