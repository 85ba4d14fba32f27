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

void PacketPool::give_back(uint8_t* block, size_t capacity) noexcept {
  in_use_ -= capacity;
  auto& list = capacity == block_size(true) ? large_ : small_;
  if (list.size() < list.capacity()) {
    list.push_back(block);
  } else {
    ::operator delete(block);
  }
}

}  // namespace smartvpn
