// Packets from and to sessions of other shards. The shard they come from has judged them; here it is looked at again
// what may have changed while they were in the ring.
#include <new>

#include "server/data_path.hpp"

namespace smartvpn::server {

// Without memory the rest comes with a later batch; what is routed by an old entry meanwhile finds no session.
void DataPath::keep_up() noexcept {
  if (!parts_.routes || !parts_.routes->is_behind()) return;
  try {
    parts_.routes->catch_up(parts_.router.table());
  } catch (const std::bad_alloc&) {
    return;
  }
}

bool DataPath::to_other_shard(const PacketView& packet, uint16_t segments, uint64_t to) noexcept {
  const ShardIds& ids = parts_.sessions.ids();
  if (!parts_.crossing || to == 0 || ids.is_mine(to)) return false;
  const ShardRing::Record record{static_cast<uint32_t>(packet.bytes.size()), packet.segment_size, segments, to,
                                 packet.session};
  if (!parts_.crossing->push(ids.shard_of(to), record, packet.bytes))
    parts_.reporter.unowned().drop(Drop::queue_full, segments);
  return true;
}

void DataPath::to_everybody_elsewhere(const Packet& packet) noexcept {
  if (!parts_.crossing) return;
  const ShardRing::Record record{static_cast<uint32_t>(packet.size()), packet.segment_size, packet.segments,
                                 Crossing::kToEverybody, 0};
  for (size_t other = 0; other < parts_.crossing->shards(); ++other) {
    if (other != parts_.crossing->shard() && !parts_.crossing->push(other, record, packet.bytes()))
      parts_.reporter.unowned().drop(Drop::queue_full, packet.segments);
  }
}

Drop DataPath::to_offline_elsewhere(size_t shard, uint64_t client_number, const Packet& packet) noexcept {
  const ShardRing::Record record{static_cast<uint32_t>(packet.size()), packet.segment_size, packet.segments,
                                 Crossing::kToOffline, client_number};
  return parts_.crossing->push(shard, record, packet.bytes()) ? Drop::none : Drop::queue_full;
}

bool DataPath::from_other_shards(size_t limit) {
  if (!parts_.crossing) return false;
  keep_up();
  auto take = [this](const ShardRing::Record& record, ByteView bytes) noexcept {
    try {
      take_over(record, bytes);
    } catch (const std::bad_alloc&) {
      parts_.reporter.unowned().drop(Drop::queue_full, record.segments);
    }
  };
  return parts_.crossing->drain(limit, take, [this] { hand_over(); });
}

void DataPath::take_over(const ShardRing::Record& record, ByteView bytes) {
  if (record.to == Crossing::kToEngine) return take_over_for_engine(record, bytes);
  if (record.to == Crossing::kToOffline) return take_over_for_offline(record, bytes);
  if (record.to == Crossing::kToCarrier) return for_carrier_ ? for_carrier_(bytes) : void();
  LiveSession* session = parts_.sessions.find(record.to);
  telemetry::SessionCounters& counters = session ? session->counters : parts_.reporter.unowned();
  inet::InnerPacket info;
  Drop drop = inet::classify(bytes, info);
  if (drop == Drop::none && record.to != Crossing::kToEverybody)
    drop = session ? parts_.router.still_to_client(session->id, info) : Drop::no_route;
  if (drop != Drop::none) return counters.drop(drop, record.segments);
  Packet copy = parts_.pool.copy_of(bytes);
  if (!copy) return counters.drop(Drop::queue_full, record.segments);
  copy.segment_size = record.segment_size;
  copy.segments = record.segments;
  if (session)
    to_session(*session, std::move(copy), info);
  else
    to_everybody(copy, info);
}

void DataPath::take_over_for_offline(const ShardRing::Record& record, ByteView bytes) {
  Packet copy = parts_.pool.copy_of(bytes);
  if (!copy) return parts_.reporter.unowned().drop(Drop::queue_full, record.segments);
  copy.segment_size = record.segment_size;
  copy.segments = record.segments;
  const Drop drop = offline_ ? offline_(record.from, std::move(copy)) : Drop::no_route;
  if (drop != Drop::none) parts_.reporter.unowned().drop(drop, record.segments);
}

void DataPath::take_over_for_engine(const ShardRing::Record& record, ByteView bytes) {
  const bool cut = record.segment_size != 0 && engine_ && !engine_->takes_super_packets();
  inet::SuperInfo super;
  super.segments = 1;
  if (cut) {
    if (Drop drop = inet::parse_super(bytes, record.segment_size, super); drop != Drop::none)
      return parts_.reporter.unowned().drop(drop, 1);
  }
  if (!engine_ || engine_failed_) return parts_.reporter.unowned().drop(Drop::engine_failed, super.segments);
  if (batch_.size() + super.segments > kBatch) hand_over();
  const PacketView packet{bytes, record.segment_size, record.from};
  cut ? cut_for_engine(packet, super) : batch_.push_back(packet);
}

}  // namespace smartvpn::server
