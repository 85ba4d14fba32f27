#include "base/packet.hpp"

#include <new>

namespace smartvpn {
namespace {

constexpr size_t block_size(bool large) {
  return PacketPool::kHeadroom + PacketPool::kTailroom + (large ? PacketPool::kLarge : PacketPool::kSmall);
}

}  // namespace

Packet::~Packet() {
  if (block_) pool_->give_back(block_, capacity_);
}

PacketPool::~PacketPool() {
  for (auto* list : {&small_, &large_})
    for (uint8_t* block : *list) ::operator delete(block);
}

Packet PacketPool::take(size_t size) noexcept {
  Packet out;
  if (size > kLarge) return out;
  bool large = size > kSmall;
  auto& list = large ? large_ : small_;
  uint8_t* block;
  if (!list.empty()) {
    block = list.back();
    list.pop_back();
  } else {
    if (!make_room(block_size(large))) return out;
    // The free list never grows on return, so room is made here, where failing is allowed.
    try {
      if (list.capacity() < kKeep) list.reserve(kKeep);
    } catch (const std::bad_alloc&) {
      return out;
    }
    block = static_cast<uint8_t*>(::operator new(block_size(large), std::nothrow));
    if (!block) return out;
  }
  out.pool_ = this;
  out.block_ = block;
  out.capacity_ = static_cast<uint32_t>(block_size(large));
  out.set_range(kHeadroom, size);
  in_use_ += out.capacity_;
  return out;
}

Packet PacketPool::copy_of(ByteView bytes) noexcept {
  Packet out = take(bytes.size());
  if (out && !bytes.empty()) std::memcpy(out.bytes().data(), bytes.data(), bytes.size());
  return out;
}

size_t PacketPool::bytes_held() const noexcept {
  return in_use_ + small_.size() * block_size(false) + large_.size() * block_size(true);
}

size_t PacketPool::room() const noexcept {
  if (limit_ == SIZE_MAX) return SIZE_MAX;
  return limit_ > in_use_ ? limit_ - in_use_ : 0;  // free blocks make way
}

void PacketPool::set_limit(size_t bytes) noexcept {
  limit_ = bytes;
  make_room(0);
}

// Gives free blocks up for something else. False if what is out alone leaves no room.
bool PacketPool::make_room(size_t bytes) noexcept {
  if (limit_ == SIZE_MAX) return true;
  for (auto* list : {&large_, &small_})
    while (!list->empty() && bytes_held() + bytes > limit_) {
      ::operator delete(list->back());
      list->pop_back();
    }
  return bytes_held() + bytes <= limit_;
}

void PacketPool::give_back(uint8_t* block, size_t capacity) noexcept {
  in_use_ -= capacity;
  auto& list = capacity == block_size(true) ? large_ : small_;
  if (list.size() < list.capacity() && bytes_held() + capacity <= limit_) {
    list.push_back(block);
  } else {
    ::operator delete(block);
  }
}

}  // namespace smartvpn
