#include "server/crossing.hpp"

#include <algorithm>
#include <bit>

namespace smartvpn::server {
namespace {

// A burst that one read of the device brings, and no more than this for all rings of one reader.
constexpr size_t kRing = size_t{4} << 20, kRingsOfOne = size_t{32} << 20, kSmallest = size_t{256} << 10;

size_t ring_bytes(size_t shards) { return std::bit_floor(std::clamp(kRingsOfOne / shards, kSmallest, kRing)); }

}  // namespace

Crossing::Crossing(Control& control) : control_(control) {
  for (size_t i = 0; i < control.shards * control.shards; ++i)
    rings_.push_back(std::make_unique<ShardRing>(ring_bytes(control.shards)));
}

bool Crossing::End::push(size_t shard, const ShardRing::Record& record, ByteView bytes, ByteView more) noexcept {
  if (shard >= shards() || !crossing_.ring(shard_, shard).push(record, bytes, more)) return false;
  touched_ |= uint64_t{1} << shard;
  return true;
}

void Crossing::End::publish() noexcept {
  for (; touched_ != 0; touched_ &= touched_ - 1) {
    const auto shard = static_cast<size_t>(std::countr_zero(touched_));
    crossing_.ring(shard_, shard).publish();
    crossing_.control_.wake(shard);
  }
}

}  // namespace smartvpn::server
