// See packet_ring.hpp. Positions only grow; the place in the buffer is the position modulo the capacity.
#include "forward/host/packet_ring.hpp"

#include <algorithm>
#include <bit>

namespace smartvpn::forward {

PacketRing::PacketRing(size_t capacity)
    : capacity_(std::bit_ceil(std::max(capacity, size_t{4096}))), bytes_(new uint8_t[capacity_]) {}

void PacketRing::copy_in(uint64_t at, const void* from, size_t size) noexcept {
  size_t place = at & (capacity_ - 1), first = std::min(size, capacity_ - place);
  std::memcpy(bytes_.get() + place, from, first);
  std::memcpy(bytes_.get(), static_cast<const uint8_t*>(from) + first, size - first);
}

void PacketRing::copy_out(uint64_t at, void* to, size_t size) const noexcept {
  size_t place = at & (capacity_ - 1), first = std::min(size, capacity_ - place);
  std::memcpy(to, bytes_.get() + place, first);
  std::memcpy(static_cast<uint8_t*>(to) + first, bytes_.get(), size - first);
}

bool PacketRing::push(const Record& record, ByteView bytes) noexcept {
  uint64_t used = writing_ - tail_.load(std::memory_order_acquire);
  if (sizeof record + bytes.size() > capacity_ - used) return false;
  copy_in(writing_, &record, sizeof record);
  if (!bytes.empty()) copy_in(writing_ + sizeof record, bytes.data(), bytes.size());
  writing_ += sizeof record + bytes.size();
  return true;
}

// Sequentially consistent, because the wake-up flag beside the ring is ordered against it.
void PacketRing::publish() noexcept { head_.store(writing_, std::memory_order_seq_cst); }

bool PacketRing::front(Record& record) noexcept {
  if (reading_ == head_.load(std::memory_order_acquire)) return false;
  copy_out(reading_, &record, sizeof record);
  return true;
}

void PacketRing::pop(const Record& record, uint8_t* out) noexcept {
  if (record.length > 0) copy_out(reading_ + sizeof record, out, record.length);
  reading_ += sizeof record + record.length;
}

void PacketRing::release() noexcept { tail_.store(reading_, std::memory_order_release); }

bool PacketRing::empty() const noexcept {
  return head_.load(std::memory_order_seq_cst) == tail_.load(std::memory_order_acquire);
}

}  // namespace smartvpn::forward
