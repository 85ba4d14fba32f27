// Packets that wait, judged again when the rules change, and those of a client that is over its rate limit: kept, in
// place of views into a receive buffer, as packets of their own until the limit lets them go on the way they would have
// gone.
#include "server/data_path.hpp"

namespace smartvpn::server {

bool DataPath::held_back(LiveSession& session, const PacketView& packet) {
  SessionLimits& limits = *session.limits;
  const Time now = parts_.loop.now();
  if (limits.held.empty() && limits.from_client.open(now)) {
    limits.from_client.passed(packet.bytes.size(), now);
    return false;
  }
  hold(session, packet, now);
  if (!limits.held.empty()) limits.await_release();
  return true;
}

void DataPath::hold(LiveSession& session, const PacketView& packet, Time now) {
  SessionLimits& limits = *session.limits;
  super_.segments = 1;
  if (packet.segment_size != 0) {
    if (Drop drop = inet::inspect(packet.bytes, packet.segment_size, session.link->mtu(), super_); drop != Drop::none)
      return session.counters.drop(drop);
  }
  auto push = [&](Packet&& own) {
    const uint64_t dropped = limits.held.push(std::move(own), now, parts_.pool.room() / 8);
    if (dropped > 0) session.counters.drop(Drop::rate_limit, dropped);
  };
  if (packet.segment_size != 0 && limits.from_client.is_slow()) {
    const size_t cut = inet::segment(packet.bytes, super_, parts_.pool, push);
    if (cut < super_.segments) session.counters.drop(Drop::queue_full, super_.segments - cut);
    return;
  }
  Packet copy = parts_.pool.copy_of(packet.bytes);
  if (!copy) return session.counters.drop(Drop::queue_full, super_.segments);
  copy.segment_size = packet.segment_size;
  copy.segments = super_.segments;
  push(std::move(copy));
}

void DataPath::judge_waiting(LiveSession& session) noexcept {
  session.link->sift([this, &session](const Packet& packet) {
    inet::InnerPacket info;
    Drop drop = inet::classify(packet.bytes(), info);
    if (drop == Drop::none) drop = parts_.router.still_to_client(session.id, info);
    if (drop == Drop::none && !may_come_from(session, info)) drop = Drop::source_blocked;
    if (drop != Drop::none) session.counters.drop(drop, packet.segments);
    return drop == Drop::none;
  });
}

void DataPath::release(LiveSession& session) {
  SessionLimits& limits = *session.limits;
  const Time now = parts_.loop.now();
  uint64_t dropped = 0;
  while (Packet packet = limits.held.pop(now, &dropped)) {
    take_in(session, {packet.bytes(), packet.segment_size, session.id});
    hand_over();  // it looks at bytes that end with this turn of the loop
  }
  if (dropped > 0) session.counters.drop(Drop::rate_limit, dropped);
  limits.held.release_if_empty();
  if (!limits.held.empty()) limits.await_release();
}

}  // namespace smartvpn::server
