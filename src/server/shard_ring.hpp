// Packets on their way from one shard to another: a bounded ring of records, one thread writes, one reads, neither
// waits. A packet lies in one piece, so that its reader looks at it where it is: the copy into the ring is the only
// one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/bytes.hpp"

namespace smartvpn::server {

class ShardRing {
 public:
  struct Record {
    uint32_t length = 0;
    uint16_t segment_size = 0;  // 0: a single packet
    uint16_t segments = 1;
    uint64_t to = 0;    // a session of the reader's, or what the two have agreed on
    uint64_t from = 0;  // the session that sent it; 0: the engine
  };
  // `capacity` in bytes, a power of two of 128 KiB at least: whatever the place, half of it takes any packet.
  // Its memory is taken with the first packet.
  explicit ShardRing(size_t capacity) noexcept : capacity_(capacity) {}

  // The writer's. False when there is no room, or no memory. Nothing is seen before publish().
  // `more` comes right behind `bytes`; `record.length` is of both.
  bool push(const Record& record, ByteView bytes, ByteView more = {}) noexcept;
  void publish() noexcept { head_.store(writing_, std::memory_order_release); }

  // The reader's. Looks at the next one without taking it; `bytes` are valid until release().
  bool front(Record& record, ByteView& bytes) noexcept;
  void pop(const Record& record) noexcept { reading_ += room_for(record.length); }
  void release() noexcept { tail_.store(reading_, std::memory_order_release); }
  // Whether front() would find one.
  bool has_more() const noexcept { return head_.load(std::memory_order_acquire) != reading_; }

 private:
  static constexpr uint32_t kSkip = UINT32_MAX;  // as a length: the rest up to the end is empty
  static constexpr size_t room_for(size_t length) noexcept {
    return (sizeof(Record) + length + alignof(Record) - 1) & ~(alignof(Record) - 1);
  }
  uint8_t* at(uint64_t position) const noexcept { return bytes_.get() + (position & (capacity_ - 1)); }
  size_t to_end(uint64_t position) const noexcept { return capacity_ - (position & (capacity_ - 1)); }

  const size_t capacity_;
  std::unique_ptr<uint8_t[]> bytes_;           // written before the first publish()
  alignas(64) std::atomic<uint64_t> head_{0};  // published by the writer
  uint64_t writing_ = 0;                       // its own, ahead of head_
  alignas(64) std::atomic<uint64_t> tail_{0};  // released by the reader
  uint64_t reading_ = 0;                       // its own, ahead of tail_
};

}  // namespace smartvpn::server
