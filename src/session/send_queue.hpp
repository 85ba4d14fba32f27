// What waits for the socket: inner packets in flow queues that are served fairly and kept short
// (FQ-CoDel, RFC 8290), at most 512 KiB. Dropping happens here, by name, never in the socket.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/clock.hpp"
#include "base/packet.hpp"

namespace smartvpn::session {

class SendQueue {
 public:
  static constexpr size_t kMaxBytes = 512 * 1024;
  static constexpr size_t kFlows = 64;
  static constexpr Duration kTarget = milliseconds(5);
  static constexpr Duration kInterval = milliseconds(100);

  // `seed` makes the flow hash unpredictable.
  explicit SendQueue(uint32_t seed) noexcept : seed_(seed) {}

  // Takes the packet. Gives the number of segments that were dropped to make room: from the longest
  // flow first, perhaps this very packet. All of it when memory is out.
  uint64_t push(Packet&& packet, Time now) noexcept;
  // The next packet, or an empty one. `*dropped` grows by the segments that CoDel gave up.
  Packet pop(Time now, uint64_t* dropped) noexcept;
  // Gives the number of segments that were waiting.
  uint64_t clear() noexcept;
  // Returns the tables' memory when nothing waits: an idle session keeps none.
  void release_if_empty() noexcept;

  bool empty() const noexcept { return packets_ == 0; }
  size_t packets() const noexcept { return packets_; }
  // What the limit counts: a packet in a small block counts as the block, a larger one as its size,
  // at least 8 KiB.
  size_t bytes() const noexcept { return bytes_; }

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
  Packet take_head(Flow& flow, Time* queued) noexcept;
  Packet take_judged(Flow& flow, Time now, bool* may_drop) noexcept;
  Packet take_codel(Flow& flow, Time now, uint64_t* dropped) noexcept;
  void append_flow(FlowList& list, uint8_t index, List name) noexcept;
  uint8_t pop_flow(FlowList& list) noexcept;

  std::unique_ptr<Tables> tables_;
  size_t bytes_ = 0, packets_ = 0;
  uint32_t seed_;
};

// The flow of an inner IP packet: addresses, protocol and, where they are in reach, ports. For
// fairness only, so odd packets simply share a flow.
uint32_t flow_hash(ByteView packet, uint32_t seed) noexcept;

}  // namespace smartvpn::session
