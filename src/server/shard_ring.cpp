// See shard_ring.hpp. Positions only grow; the place in the buffer is the position modulo the capacity. What does not
// fit before the end begins at the start, behind a record that says so.
#include "server/shard_ring.hpp"

#include <cstring>
#include <new>

namespace smartvpn::server {

bool ShardRing::push(const Record& record, ByteView bytes, ByteView more) noexcept {
  const uint64_t used = writing_ - tail_.load(std::memory_order_acquire);
  const size_t size = room_for(bytes.size() + more.size()), rest = to_end(writing_);
  const size_t skipped = size > rest ? rest : 0;
  if (size + skipped > capacity_ - used) return false;
  if (!bytes_) bytes_.reset(new (std::nothrow) uint8_t[capacity_]);
  if (!bytes_) return false;
  if (skipped != 0) {
    // A record's first field always fits: places are multiples of its alignment.
    std::memcpy(at(writing_), &kSkip, sizeof kSkip);
    writing_ += skipped;
  }
  std::memcpy(at(writing_), &record, sizeof record);
  if (!bytes.empty()) std::memcpy(at(writing_) + sizeof record, bytes.data(), bytes.size());
  if (!more.empty()) std::memcpy(at(writing_) + sizeof record + bytes.size(), more.data(), more.size());
  writing_ += size;
  return true;
}

bool ShardRing::front(Record& record, ByteView& bytes) noexcept {
  if (!has_more()) return false;
  uint32_t length;
  std::memcpy(&length, at(reading_), sizeof length);
  if (length == kSkip) reading_ += to_end(reading_);
  std::memcpy(&record, at(reading_), sizeof record);
  bytes = {at(reading_) + sizeof record, record.length};
  return true;
}

}  // namespace smartvpn::server
