// What waits for the socket: inner packets in flow queues that are served fairly and kept short
// (FQ-CoDel, RFC 8290), at most 512 KiB. Dropping happens here, by name, never in the socket.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.hpp"
#include "base/packet.hpp"
#include "base/reason.hpp"
#include "session/send_gate.hpp"

namespace smartvpn::session {

class SendQueue {
 public:
  static constexpr size_t kMaxBytes = 512 * 1024;
  static constexpr size_t kFlows = 64;
  static constexpr Duration kTarget = milliseconds(5);
  static constexpr Duration kInterval = milliseconds(100);

  // `seed` makes the flow hash unpredictable.
  explicit SendQueue(uint32_t seed) noexcept : seed_(seed) {}

  // A limit for what leaves the queue; null: none. It outlives the queue or a call with another one.
  void set_gate(SendGate* gate) noexcept {
    gate_ = gate;
    blocked_ = false;
  }

  // Takes the packet. Gives the number of segments that were dropped to make room: from the longest
  // flow first, perhaps this very packet. All of it when memory is out. `room`: what the blocks of this
  // queue's packets may take together, where memory is scarce.
  uint64_t push(Packet&& packet, Time now, size_t room = SIZE_MAX) noexcept;
  // The next packet, or an empty one: also while the gate is closed. `*dropped` grows by the segments
  // that CoDel gave up.
  Packet pop(Time now, uint64_t* dropped) noexcept;
  // The name of what is dropped here: what a limit made wait is dropped for the limit.
  Drop drop_name() const noexcept { return held_ ? Drop::rate_limit : Drop::queue_full; }
  // Gives the number of segments that were waiting.
  uint64_t clear() noexcept;
  // Drops what `keep`, which must not throw, says no to: the rules have changed.
  using Keep = std::function<bool(const Packet&)>;
  void sift(const Keep& keep) noexcept;
  // Returns the tables' memory when nothing waits: an idle session keeps none.
  void release_if_empty() noexcept;

  bool empty() const noexcept { return packets_ == 0; }
  // Something waits, and may go.
  bool ready(Time now) const noexcept { return packets_ != 0 && (!gate_ || gate_->open(now)); }
  // When what the gate has refused to let go may go. kNever if there is nothing such.
  Time next_release() const noexcept { return blocked_ && packets_ != 0 ? gate_->opens_at() : kNever; }
  // That time has come, perhaps: whoever waits for something else than the gate now hears no more of it.
  void look_at_gate(Time now) noexcept { blocked_ = blocked_ && !gate_->open(now); }
  // Drops until the packets' blocks take no more than `room`; gives the number of segments.
  uint64_t trim(size_t room) noexcept;
  size_t packets() const noexcept { return packets_; }
  // What the limit counts: a packet in a small block counts as the block, a larger one as its size,
  // at least 8 KiB.
  size_t bytes() const noexcept { return bytes_; }
  // What the packets' blocks take.
  size_t memory() const noexcept { return memory_; }

 private:
  static constexpr uint16_t kNil = 0xffff;
  static constexpr int32_t kQuantum = 2048;  // bytes a flow may send in its turn
  struct Node {
    Packet packet;
    Time queued{};
    uint16_t next = kNil;
  };
  enum class List : uint8_t { none, fresh, old };
  struct Flow {
    uint16_t head = kNil, tail = kNil;
    uint8_t next = 0xff;
    List list = List::none;
    bool dropping = false;
    uint32_t bytes = 0, count = 0, last_count = 0;
    int32_t deficit = 0;
    Time first_above{}, drop_next{};
  };
  struct FlowList {
    uint8_t head = 0xff, tail = 0xff;
  };
  struct Tables {
    std::array<Flow, kFlows> flows;
    FlowList fresh, old;
    std::vector<Node> nodes;
    uint16_t free = kNil;
  };

  bool ensure_node() noexcept;
  uint64_t drop_from_longest() noexcept;
  void sift_flow(Flow& flow, const Keep& keep) noexcept;
  Packet take_head(Flow& flow, Time* queued) noexcept;
  Packet take_out(Flow& flow, uint16_t index) noexcept;
  Packet take_judged(Flow& flow, Time now, bool* may_drop) noexcept;
  Packet take_codel(Flow& flow, Time now, uint64_t* dropped) noexcept;
  void append_flow(FlowList& list, uint8_t index, List name) noexcept;
  uint8_t pop_flow(FlowList& list) noexcept;

  std::unique_ptr<Tables> tables_;
  size_t bytes_ = 0, packets_ = 0, memory_ = 0;
  SendGate* gate_ = nullptr;
  uint32_t seed_;
  bool blocked_ = false;  // the gate was closed at the last pop()
  bool held_ = false;     // and so has made what waits here wait
};

// The flow of an inner IP packet: addresses, protocol and, where they are in reach, ports. For
// fairness only, so odd packets simply share a flow.
uint32_t flow_hash(ByteView packet, uint32_t seed) noexcept;

}  // namespace smartvpn::session
