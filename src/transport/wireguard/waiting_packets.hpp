// Packets that wait for a session, at most 128 of a peer: when more come the oldest goes (as the kernel has it). Peers
// that nobody answers for must not hold all memory, so there is a bound over all of them too.
#pragma once

#include <deque>
#include <memory>

#include "base/packet.hpp"

namespace smartvpn::wireguard {

// Of all peers of a device.
struct WaitingBudget {
  static constexpr size_t kBytes = 8 * 1024 * 1024;
  size_t used = 0;
};

class WaitingPackets {
 public:
  static constexpr size_t kPackets = 128;
  explicit WaitingPackets(WaitingBudget& budget) noexcept : budget_(budget) {}
  ~WaitingPackets() { clear(); }
  WaitingPackets(const WaitingPackets&) = delete;
  WaitingPackets& operator=(const WaitingPackets&) = delete;

  // Gives how many segments were dropped for it, or with it.
  uint64_t push(Packet&& packet) noexcept {
    uint64_t dropped = 0;
    while (packets_ && !packets_->empty() && (packets_->size() >= kPackets || !fits(packet))) dropped += pop().segments;
    if (!fits(packet)) return dropped + packet.segments;
    const uint64_t segments = packet.segments;
    const size_t bytes = packet.capacity();
    try {
      if (!packets_) packets_ = std::make_unique<std::deque<Packet>>();
      packets_->push_back(std::move(packet));
      budget_.used += bytes;
    } catch (const std::bad_alloc&) {
      return dropped + segments;
    }
    return dropped;
  }
  bool empty() const noexcept { return !packets_ || packets_->empty(); }
  Packet pop() noexcept {
    Packet first = std::move(packets_->front());
    packets_->pop_front();
    budget_.used -= first.capacity();
    return first;
  }
  // Gives how many segments waited. Nothing is kept of the memory.
  uint64_t clear() noexcept {
    uint64_t segments = 0;
    while (!empty()) segments += pop().segments;
    packets_.reset();
    return segments;
  }
  template <class Keep>
  void sift(const Keep& keep) noexcept {
    if (!packets_) return;
    std::erase_if(*packets_, [&](const Packet& packet) {
      if (keep(packet)) return false;
      budget_.used -= packet.capacity();
      return true;
    });
  }
  uint64_t bytes() const noexcept {
    uint64_t sum = 0;
    if (packets_)
      for (const Packet& packet : *packets_) sum += packet.size();
    return sum;
  }

 private:
  bool fits(const Packet& packet) const noexcept { return budget_.used + packet.capacity() <= WaitingBudget::kBytes; }
  WaitingBudget& budget_;
  std::unique_ptr<std::deque<Packet>> packets_;
};

}  // namespace smartvpn::wireguard
