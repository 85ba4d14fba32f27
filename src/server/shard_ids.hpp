// Whose an id is: ids of sessions and of connections carry the number of the shard that made them, so that anybody
// can send a command or a packet to the owner without asking. With one shard they are what they would be without it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace smartvpn::server {

constexpr size_t kMaxShards = 64;

class ShardIds {
 public:
  constexpr ShardIds() noexcept = default;
  // `shard` below `shards`, which is 1 to kMaxShards.
  constexpr ShardIds(size_t shard, size_t shards) noexcept
      : shard_(shard), bits_(static_cast<unsigned>(std::bit_width(shards - 1))) {}

  size_t shard() const noexcept { return shard_; }
  bool is_mine(uint64_t session) const noexcept { return shard_of(session) == shard_; }
  // Below 2^bit_width(shards - 1): a made-up id may name a shard that does not exist.
  size_t shard_of(uint64_t session) const noexcept {
    return static_cast<size_t>(session & ((uint64_t{1} << bits_) - 1));
  }

  // A slot map's id (base/slot_map.hpp) as a session's: the low bits of the slot become the shard. 0 for a slot
  // beyond this shard's share of them.
  uint64_t session_id(uint64_t slot_id) const noexcept {
    const uint64_t wide = (slot_id & kSlots) << bits_ | shard_;
    return slot_id == 0 || wide > kSlots ? 0 : (slot_id & ~kSlots) | wide;
  }
  // Back again, for ids that are this shard's.
  uint64_t slot_id(uint64_t session) const noexcept { return (session & ~kSlots) | (session & kSlots) >> bits_; }

  // Connections are numbered from here on; what has come out of one shard never meets another's.
  uint64_t first_connection() const noexcept { return uint64_t{shard_} << kConnectionBits | 1; }
  static size_t shard_of_connection(uint64_t connection) noexcept {
    return static_cast<size_t>(connection >> kConnectionBits);
  }

 private:
  static constexpr uint64_t kSlots = (1u << 24) - 1;
  static constexpr unsigned kConnectionBits = 46;  // 2^52 at most, so that JSON keeps them
  size_t shard_ = 0;
  unsigned bits_ = 0;
};

}  // namespace smartvpn::server
