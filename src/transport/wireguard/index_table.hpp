// Receiver indices: random, unique, freed with their keys. The shard is in the low byte (index % 256 % shards ==
// shard), where a BPF program finds it. Owned by one shard.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "base/rng.hpp"

namespace smartvpn::wireguard {

class PeerMachine;

class IndexTable {
 public:
  explicit IndexTable(Rng& rng, unsigned shard = 0, unsigned shards = 1) noexcept;
  // Never 0. Throws std::bad_alloc with nothing changed.
  uint32_t add(PeerMachine& owner);
  void remove(uint32_t index) noexcept;
  PeerMachine* find(uint32_t index) const noexcept;
  bool is_ours(uint32_t index) const noexcept;  // by its shard
  size_t size() const noexcept;

 private:
  Rng& rng_;
  unsigned shard_, shards_;
  std::unordered_map<uint32_t, PeerMachine*> owners_;
};

}  // namespace smartvpn::wireguard
