// FQ-CoDel (RFC 8290) over 64 flows. Waiting packets sit in one slab of nodes that are linked into
// flows by index; the slab grows with the backlog, never by packet, and goes away when idle.
#include "session/send_queue.hpp"

#include <algorithm>
#include <cmath>
#include <new>

namespace smartvpn::session {
namespace {

constexpr size_t kFirstNodes = 16;
constexpr size_t kMaxNodes = 1024;

size_t charge(const Packet& packet) noexcept {
  constexpr size_t kSmallBlock = PacketPool::kHeadroom + PacketPool::kSmall + PacketPool::kTailroom;
  if (packet.capacity() <= kSmallBlock) return packet.capacity();
  return std::max<size_t>(packet.size(), 8192);
}

Time control_law(Time t, uint32_t count) noexcept {
  auto step = static_cast<int64_t>(static_cast<double>(SendQueue::kInterval.count()) / std::sqrt(double(count)));
  return t + Duration(step);
}

}  // namespace

uint64_t SendQueue::push(Packet&& packet, Time now, size_t room) noexcept {
  if (!ensure_node()) return packet.segments;
  Tables& t = *tables_;
  const uint16_t index = t.free;
  Node& node = t.nodes[index];
  t.free = node.next;

  auto flow_index = static_cast<uint8_t>(flow_hash(packet.bytes(), seed_) % kFlows);
  Flow& flow = t.flows[flow_index];
  const size_t cost = charge(packet);
  node.packet = std::move(packet);
  node.queued = now;
  node.next = kNil;
  if (flow.head == kNil) {
    flow.head = index;
  } else {
    t.nodes[flow.tail].next = index;
  }
  flow.tail = index;
  flow.bytes += static_cast<uint32_t>(cost);
  bytes_ += cost;
  memory_ += node.packet.capacity();
  ++packets_;
  if (flow.list == List::none) {
    flow.deficit = kQuantum;
    append_flow(t.fresh, flow_index, List::fresh);
  }
  uint64_t dropped = 0;
  while (bytes_ > kMaxBytes) dropped += drop_from_longest();
  return dropped + trim(room);
}

uint64_t SendQueue::trim(size_t room) noexcept {
  uint64_t dropped = 0;
  while (memory_ > room) dropped += drop_from_longest();
  return dropped;
}

Packet SendQueue::pop(Time now, uint64_t* dropped) noexcept {
  blocked_ = packets_ > 0 && gate_ && !gate_->open(now);
  if (blocked_) {
    held_ = true;
    return {};
  }
  while (packets_ > 0) {
    Tables& t = *tables_;
    FlowList& list = t.fresh.head != 0xff ? t.fresh : t.old;
    const bool fresh = &list == &t.fresh;
    const uint8_t index = list.head;
    if (index == 0xff) break;
    Flow& flow = t.flows[index];
    if (flow.deficit <= 0) {
      flow.deficit += kQuantum;
      pop_flow(list);
      append_flow(t.old, index, List::old);
      continue;
    }
    Packet packet = take_codel(flow, now, dropped);
    if (packet) {
      flow.deficit -= static_cast<int32_t>(packet.size());
      if (gate_) gate_->passed(packet.size(), now);
      if (packets_ == 0) held_ = false;
      return packet;
    }
    // An emptied fresh flow goes through the old list once, so that it cannot jump the queue again.
    pop_flow(list);
    flow.list = List::none;
    if (fresh) append_flow(t.old, index, List::old);
  }
  return {};
}

uint64_t SendQueue::clear() noexcept {
  uint64_t segments = 0;
  if (tables_)
    for (const Node& node : tables_->nodes)
      if (node.packet) segments += node.packet.segments;
  tables_.reset();
  bytes_ = packets_ = memory_ = 0;
  held_ = blocked_ = false;
  return segments;
}

void SendQueue::sift(const Keep& keep) noexcept {
  if (packets_ == 0) return;
  for (Flow& flow : tables_->flows) sift_flow(flow, keep);
  if (packets_ == 0) held_ = blocked_ = false;
}

void SendQueue::sift_flow(Flow& flow, const Keep& keep) noexcept {
  std::vector<Node>& nodes = tables_->nodes;
  for (uint16_t at = flow.head, before = kNil; at != kNil;) {
    const uint16_t next = nodes[at].next;
    if (keep(nodes[at].packet)) {
      before = at;
    } else {
      (before == kNil ? flow.head : nodes[before].next) = next;
      if (flow.tail == at) flow.tail = before;
      take_out(flow, at);
    }
    at = next;
  }
}

void SendQueue::release_if_empty() noexcept {
  if (packets_ == 0) tables_.reset();
}

bool SendQueue::ensure_node() noexcept {
  try {
    if (!tables_) tables_ = std::make_unique<Tables>();
    Tables& t = *tables_;
    if (t.free != kNil) return true;
    const size_t old_size = t.nodes.size();
    if (old_size >= kMaxNodes) return false;
    const size_t new_size = old_size == 0 ? kFirstNodes : old_size * 2;
    t.nodes.resize(new_size);
    for (size_t i = old_size; i < new_size; ++i)
      t.nodes[i].next = i + 1 < new_size ? static_cast<uint16_t>(i + 1) : kNil;
    t.free = static_cast<uint16_t>(old_size);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

uint64_t SendQueue::drop_from_longest() noexcept {
  Flow* longest = &tables_->flows[0];
  for (Flow& flow : tables_->flows)
    if (flow.bytes > longest->bytes) longest = &flow;
  Time queued;
  return take_head(*longest, &queued).segments;
}

Packet SendQueue::take_head(Flow& flow, Time* queued) noexcept {
  if (flow.head == kNil) return {};
  Tables& t = *tables_;
  const uint16_t index = flow.head;
  Node& node = t.nodes[index];
  *queued = node.queued;
  flow.head = node.next;
  if (flow.head == kNil) flow.tail = kNil;
  return take_out(flow, index);
}

// Of a node that is linked nowhere any more.
Packet SendQueue::take_out(Flow& flow, uint16_t index) noexcept {
  Tables& t = *tables_;
  Packet packet = std::move(t.nodes[index].packet);
  t.nodes[index].next = t.free;
  t.free = index;
  const size_t cost = charge(packet);
  flow.bytes -= static_cast<uint32_t>(cost);
  bytes_ -= cost;
  memory_ -= packet.capacity();
  --packets_;
  return packet;
}

// RFC 8289, section 5.6: the head, and whether it has been too slow for a whole interval. A flow's last
// packet is never given up.
Packet SendQueue::take_judged(Flow& flow, Time now, bool* may_drop) noexcept {
  *may_drop = false;
  Time queued;
  Packet packet = take_head(flow, &queued);
  if (!packet || now - queued < kTarget || flow.head == kNil) {
    flow.first_above = Time{};
  } else if (flow.first_above == Time{}) {
    flow.first_above = now + kInterval;
  } else {
    *may_drop = now >= flow.first_above;
  }
  return packet;
}

Packet SendQueue::take_codel(Flow& flow, Time now, uint64_t* dropped) noexcept {
  bool may_drop;
  Packet packet = take_judged(flow, now, &may_drop);
  if (flow.dropping) {
    if (!may_drop) flow.dropping = false;
    while (flow.dropping && now >= flow.drop_next) {
      *dropped += packet.segments;
      ++flow.count;
      packet = take_judged(flow, now, &may_drop);
      if (may_drop) {
        flow.drop_next = control_law(flow.drop_next, flow.count);
      } else {
        flow.dropping = false;
      }
    }
  } else if (may_drop) {
    *dropped += packet.segments;
    packet = take_judged(flow, now, &may_drop);
    flow.dropping = true;
    const uint32_t delta = flow.count - flow.last_count;
    flow.count = delta > 1 && now - flow.drop_next < 16 * kInterval ? delta : 1;
    flow.drop_next = control_law(now, flow.count);
    flow.last_count = flow.count;
  }
  return packet;
}

void SendQueue::append_flow(FlowList& list, uint8_t index, List name) noexcept {
  Flow& flow = tables_->flows[index];
  flow.next = 0xff;
  flow.list = name;
  if (list.head == 0xff) {
    list.head = index;
  } else {
    tables_->flows[list.tail].next = index;
  }
  list.tail = index;
}

uint8_t SendQueue::pop_flow(FlowList& list) noexcept {
  const uint8_t index = list.head;
  list.head = tables_->flows[index].next;
  if (list.head == 0xff) list.tail = 0xff;
  return index;
}

}  // namespace smartvpn::session
