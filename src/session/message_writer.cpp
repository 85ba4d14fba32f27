// Batching; see the header file.
#include "session/message_writer.hpp"

#include <cstring>
#include <utility>

namespace smartvpn::session {
namespace {

size_t record_size(const Packet& packet) noexcept {
  return packet_record_overhead(packet.segment_size) + packet.size();
}

bool travels_alone(const Packet& packet, size_t batch) noexcept {
  return packet.segment_size != 0 || packet.size() > kLoneBytes || record_size(packet) > batch;
}

// Records are written one behind the other; the block has room for `batch` bytes.
class BlockFiller {
 public:
  explicit BlockFiller(Packet& block, size_t limit) noexcept : next_(block.bytes().data()), limit_(limit) {}
  uint8_t* reserve(size_t bytes) noexcept {
    uint8_t* out = next_;
    next_ += bytes;
    used_ += bytes;
    ++records_;
    return out;
  }
  bool fits(size_t bytes) const noexcept { return bytes <= limit_ - used_ && records_ < kMaxRecords; }
  size_t used() const noexcept { return used_; }
  void count_records(size_t n) noexcept { records_ += n; }

 private:
  uint8_t* next_;
  size_t limit_, used_ = 0, records_ = 0;
};

void add_packet(BlockFiller& filler, const Packet& packet) noexcept {
  const size_t overhead = packet_record_overhead(packet.segment_size);
  uint8_t* out = filler.reserve(overhead + packet.size());
  write_packet_record(out, packet.size(), packet.segment_size);
  std::memcpy(out + overhead, packet.bytes().data(), packet.size());
}

// From the plaintext's bounds to the whole message's.
void widen(Packet& block, size_t plaintext) noexcept {
  block.set_range(block.headroom() - kHeaderSize, kHeaderSize + plaintext + kTagSize);
}

}  // namespace

Packet MessageWriter::take(SendQueue& queue, Time now, uint64_t* dropped) noexcept {
  return staged_ ? std::exchange(staged_, Packet{}) : queue.pop(now, dropped);
}

void MessageWriter::sift(const SendQueue::Keep& keep) noexcept {
  if (staged_ && !keep(staged_)) staged_ = Packet{};
}

uint64_t MessageWriter::clear() noexcept {
  uint64_t segments = staged_ ? staged_.segments : 0;
  staged_ = Packet{};
  return segments;
}

Packet MessageWriter::next(SendQueue& queue, ControlQueue& control, Keepalive& keepalive, const WriterLimits& limits,
                           Time now, bool* has_control, uint64_t* dropped) noexcept {
  *has_control = !control.empty();
  const size_t batch = std::min(limits.batch, limits.max_plaintext);
  Packet first = take(queue, now, dropped);
  if (!*has_control) {
    if (!first) return {};
    if (travels_alone(first, batch) || queue.empty()) return wrap_in_place(std::move(first));
  } else if (first && travels_alone(first, batch)) {
    staged_ = std::exchange(first, Packet());
  }

  const size_t control_size = control.size();
  // A configuration may be larger than a batch.
  const size_t limit = std::max(batch, control_size);
  const bool only_control = !first;
  Packet block = pool_.take(only_control ? control_size : limit);
  if (!block) {
    // Memory is out. The packet waits for better times, and so does the control.
    if (first) staged_ = std::move(first);
    return {};
  }
  BlockFiller filler(block, limit);
  if (*has_control) {
    const size_t records = control.records();
    control.write(filler.reserve(control_size), keepalive, now);
    filler.count_records(records - 1);
  }
  while (first) {
    if (travels_alone(first, batch) || !filler.fits(record_size(first))) {
      staged_ = std::move(first);
      break;
    }
    add_packet(filler, first);
    first = staged_ ? Packet{} : queue.pop(now, dropped);
  }
  widen(block, filler.used());
  return block;
}

Packet MessageWriter::wrap_in_place(Packet&& packet) noexcept {
  const size_t overhead = packet_record_overhead(packet.segment_size);
  if (packet.headroom() < kCarrierHeadroom + kHeaderSize + overhead || packet.tailroom() < kTagSize)
    return wrap_copy(std::move(packet));
  const size_t size = packet.size();
  packet.set_range(packet.headroom() - overhead, size + overhead);
  write_packet_record(packet.bytes().data(), size, packet.segment_size);
  widen(packet, size + overhead);
  return std::move(packet);
}

Packet MessageWriter::wrap_copy(Packet&& packet) noexcept {
  Packet block = pool_.take(record_size(packet));
  if (!block) {
    staged_ = std::move(packet);
    return {};
  }
  BlockFiller filler(block, record_size(packet));
  add_packet(filler, packet);
  widen(block, filler.used());
  return block;
}

}  // namespace smartvpn::session
