// A bounded ring of packets between two threads: one writes, one reads, neither ever waits for the other.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.hpp"

namespace smartvpn::forward {

// Single producer, single consumer; which thread that is may change between calls if something else orders them.
class PacketRing {
 public:
  struct Record {
    uint32_t length = 0;
    uint32_t segment_size = 0;
    uint64_t session = 0;
  };
  // `capacity` in bytes of packets and their 16-byte records, a power of two.
  explicit PacketRing(size_t capacity);

  // Producer. push() copies; false when it does not fit now. Nothing is seen before publish().
  bool push(const Record& record, ByteView bytes) noexcept;
  void publish() noexcept;

  // Consumer. front() looks without taking; pop() copies the front into `out` (record.length bytes).
  bool front(Record& record) noexcept;
  void pop(const Record& record, uint8_t* out) noexcept;
  void skip(const Record& record) noexcept { reading_ += sizeof record + record.length; }
  void release() noexcept;  // gives the room of what was popped back to the producer

  bool empty() const noexcept;  // any thread
  size_t capacity() const noexcept { return capacity_; }

 private:
  void copy_in(uint64_t at, const void* from, size_t size) noexcept;
  void copy_out(uint64_t at, void* to, size_t size) const noexcept;

  const size_t capacity_;
  const std::unique_ptr<uint8_t[]> bytes_;
  alignas(64) std::atomic<uint64_t> head_{0};  // published by the producer
  uint64_t writing_ = 0;                       // the producer's own, ahead of head_
  alignas(64) std::atomic<uint64_t> tail_{0};  // released by the consumer
  uint64_t reading_ = 0;                       // the consumer's own, ahead of tail_
};

}  // namespace smartvpn::forward
