// Where a message is gathered that does not lie whole in what was read. Not a vector, because the socket writes
// straight into its end, which a vector would fill with zeros first.
#pragma once

#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "base/bytes.hpp"
#include "base/thread_spares.hpp"

namespace smartvpn::ws {

class MessageBuffer {
 public:
  MessageBuffer() = default;
  MessageBuffer(MessageBuffer&& other) noexcept { *this = std::move(other); }
  MessageBuffer& operator=(MessageBuffer&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }
  ~MessageBuffer() = default;

  ByteSpan bytes() noexcept { return {data_.get(), size_}; }
  size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  size_t capacity() const noexcept { return capacity_; }
  // Memory behind the last byte; commit() makes bytes of it.
  ByteSpan room() noexcept { return {data_.get() + size_, capacity_ - size_}; }
  void commit(size_t n) noexcept { size_ += n; }
  void clear() noexcept { size_ = 0; }

  // False when memory is out; the bytes stay.
  [[nodiscard]] bool reserve(size_t wanted) noexcept {
    if (wanted <= capacity_) return true;
    ThreadSpares* spares = ThreadSpares::current();
    if (spares && !data_ && wanted >= kWorthKeeping && wanted <= spares->block_size) {
      capacity_ = std::exchange(spares->block_size, 0);
      data_ = std::move(spares->block);
      return true;
    }
    std::unique_ptr<uint8_t[]> larger(new (std::nothrow) uint8_t[wanted]);
    if (!larger) return false;
    if (size_ != 0) std::memcpy(larger.get(), data_.get(), size_);
    data_ = std::move(larger);
    capacity_ = wanted;
    return true;
  }
  // There has to be room.
  void append(ByteView bytes) noexcept {
    if (!bytes.empty()) std::memcpy(data_.get() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  // Gives the memory up, which the thread's next cut message may take: a busy stream allocates nothing, and an idle
  // one holds nothing.
  void release() noexcept {
    ThreadSpares* spares = ThreadSpares::current();
    if (spares && capacity_ >= kWorthKeeping && capacity_ <= kMostKept && capacity_ > spares->block_size) {
      spares->block = std::move(data_);
      spares->block_size = capacity_;
    }
    data_.reset();
    size_ = capacity_ = 0;
  }

 private:
  static constexpr size_t kWorthKeeping = 16 * 1024;  // strangers' messages are smaller, and get no more than they need
  static constexpr size_t kMostKept = 128 * 1024;

  std::unique_ptr<uint8_t[]> data_;
  size_t size_ = 0, capacity_ = 0;
};

}  // namespace smartvpn::ws
