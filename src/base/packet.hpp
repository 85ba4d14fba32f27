// The unit of the data path. Towards the engine a packet is a view into the receive buffer it was
// opened in; towards a client it is a move-only pool buffer with room in front for the carrier's
// headers and behind for the tag, so that sealing happens in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/bytes.hpp"

namespace smartvpn {

// One inner IP packet, or one TCP/UDP super-packet to be cut at `segment_size` payload bytes.
struct PacketView {
  ByteView bytes;             // from the first byte of the IP header
  uint16_t segment_size = 0;  // 0: a single packet
  uint64_t session = 0;       // the session it came from; 0: the engine
};

class PacketPool;

class Packet {
 public:
  Packet() noexcept = default;
  Packet(Packet&& other) noexcept { swap(other); }
  Packet& operator=(Packet&& other) noexcept {
    Packet gone(std::move(other));
    swap(gone);
    return *this;
  }
  ~Packet();

  explicit operator bool() const noexcept { return block_ != nullptr; }
  ByteSpan bytes() noexcept { return {block_ + begin_, end_ - begin_}; }
  ByteView bytes() const noexcept { return {block_ + begin_, end_ - begin_}; }
  size_t size() const noexcept { return end_ - begin_; }
  size_t headroom() const noexcept { return begin_; }
  size_t tailroom() const noexcept { return capacity_ - end_; }

  // Sets the bytes to [begin, begin+size) of the block; both must lie inside the capacity.
  void set_range(size_t begin, size_t size) noexcept {
    begin_ = static_cast<uint32_t>(begin);
    end_ = static_cast<uint32_t>(begin + size);
  }
  uint8_t* block() noexcept { return block_; }
  size_t capacity() const noexcept { return capacity_; }

  uint16_t segment_size = 0;  // 0: a single packet
  // Segments this counts as in limits and statistics; 1 for a single packet.
  uint16_t segments = 1;

 private:
  friend class PacketPool;
  void swap(Packet& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(block_, other.block_);
    std::swap(capacity_, other.capacity_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
    std::swap(segment_size, other.segment_size);
    std::swap(segments, other.segments);
  }
  PacketPool* pool_ = nullptr;
  uint8_t* block_ = nullptr;
  uint32_t capacity_ = 0, begin_ = 0, end_ = 0;
};

// Blocks of two sizes, reused. One pool per shard: not thread-safe, and it must outlive its packets.
class PacketPool {
 public:
  static constexpr size_t kHeadroom = 64;  // WebSocket 14 + message 16 + record 4, rounded up
  static constexpr size_t kTailroom = 64;  // AEAD tag 16, rounded up
  static constexpr size_t kSmall = 2048;   // payload room of a small block
  static constexpr size_t kLarge = 65536 + 1024;

  PacketPool() = default;
  PacketPool(const PacketPool&) = delete;
  PacketPool& operator=(const PacketPool&) = delete;
  ~PacketPool();

  // A packet of `size` bytes (contents undefined) at offset kHeadroom. False when memory is out or
  // size exceeds kLarge.
  Packet take(size_t size) noexcept;
  Packet copy_of(ByteView bytes) noexcept;

  size_t bytes_in_use() const noexcept { return in_use_; }
  // With the free blocks that are kept for the next packets.
  size_t bytes_held() const noexcept;
  // No packet is given out, and no free block kept, that would bring bytes_held() above this. Packets that
  // are out stay out.
  void set_limit(size_t bytes) noexcept;
  // What may still be taken; SIZE_MAX without a limit.
  size_t room() const noexcept;

 private:
  friend class Packet;
  static constexpr size_t kKeep = 256;  // free blocks kept per size
  void give_back(uint8_t* block, size_t capacity) noexcept;
  bool make_room(size_t bytes) noexcept;
  std::vector<uint8_t*> small_, large_;
  size_t in_use_ = 0;
  size_t limit_ = SIZE_MAX;
};

}  // namespace smartvpn
