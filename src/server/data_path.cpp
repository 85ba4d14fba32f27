#include "server/data_path.hpp"

#include <algorithm>
#include <new>

#include "forward/cut.hpp"
#include "inet/fragment.hpp"
#include "inet/mss.hpp"
#include "inet/same_flow.hpp"
#include "inet/super_packet.hpp"

namespace smartvpn::server {

DataPath::DataPath(const Parts& parts) : parts_(parts) {
  batch_.reserve(kBatch);
  own_.reserve(kBatch);
}

// A bulk transfer is judged once a batch: what follows in the same flow gets the same verdict.
Drop DataPath::judge(const LiveSession& session, const PacketView& packet) {
  const bool known = packet.segment_size == 0 && !last_.empty() && inet::is_same_flow(last_, packet.bytes, info_);
  if (known) {
    super_.segments = 1;
    last_ = packet.bytes;
    return Drop::none;
  }
  const Drop drop = judge_afresh(session, packet);
  last_ = drop == Drop::none && packet.segment_size == 0 ? packet.bytes : ByteView{};
  return drop;
}

Drop DataPath::judge_afresh(const LiveSession& session, const PacketView& packet) {
  super_.segments = 1;
  if (packet.segment_size != 0) {
    if (Drop drop = inet::inspect(packet.bytes, packet.segment_size, session.link->mtu(), super_); drop != Drop::none) {
      super_.segments = 1;
      return drop;
    }
  }
  if (Drop drop = inet::classify(packet.bytes, info_); drop != Drop::none) return drop;
  verdict_ = parts_.router.from_client(session.id, info_, parts_.loop.now());
  if (verdict_.drop != Drop::none || !session.destinations || verdict_.to_host) return verdict_.drop;
  if (session.destinations->allows(info_.dst, parts_.router.options().nat64_prefixes)) return Drop::none;
  parts_.router.refuse_fragments(session.id, info_, Drop::destination_blocked, parts_.loop.now());
  return Drop::destination_blocked;
}

// The gateway's own services answer whatever the client's lists say.
bool DataPath::may_come_from(const LiveSession& session, const inet::InnerPacket& info) const noexcept {
  if (!session.destinations) return true;
  if (parts_.router.table().lookup(info.src).kind == router::RouteKind::gateway) return true;
  return session.destinations->allows_from(info, parts_.router.options().nat64_prefixes);
}

void DataPath::from_session(LiveSession& session, std::span<const PacketView> batch) {
  keep_up();
  const Forgetful forgetful(*this);
  for (const PacketView& packet : batch) {
    if (!session.limits || !held_back(session, packet)) take_in(session, packet);
  }
  hand_over();
}

void DataPath::forget_batch() noexcept {
  batch_.clear();  // views, of bytes that are gone soon
  own_.clear();
  last_ = {};
}

void DataPath::take_in(LiveSession& session, const PacketView& packet) {
  if (Drop drop = judge(session, packet); drop != Drop::none) {
    if (drop == Drop::no_route && wakes(session, packet)) return;
    return session.counters.drop(drop, super_.segments);
  }
  session.counters.inner_packets_in += super_.segments;
  session.counters.inner_bytes_in += packet.bytes.size();
  if (verdict_.to_engine) {
    to_engine(session, packet);
  } else if (LiveSession* peer = parts_.sessions.find(verdict_.session)) {
    to_peer(*peer, packet);
  } else {
    to_other_shard({packet.bytes, packet.segment_size, session.id}, super_.segments, verdict_.session);
  }
}

// From one client to another that has no session at the moment, by the destination lists that judge() did not come to.
bool DataPath::wakes(const LiveSession& sender, const PacketView& packet) {
  if (verdict_.client == 0 || !offline_) return false;
  if (sender.destinations && !sender.destinations->allows(info_.dst, parts_.router.options().nat64_prefixes))
    return false;
  Packet copy = parts_.pool.copy_of(packet.bytes);
  if (!copy) return false;
  copy.segment_size = packet.segment_size;
  copy.segments = super_.segments;
  return offline_(verdict_.client, std::move(copy)) == Drop::none;
}

// From one client to another.
void DataPath::to_peer(LiveSession& peer, const PacketView& packet) {
  Packet copy = parts_.pool.copy_of(packet.bytes);
  if (!copy) return peer.counters.drop(Drop::queue_full, super_.segments);
  copy.segment_size = packet.segment_size;
  copy.segments = super_.segments;
  to_session(peer, std::move(copy), info_);
}

void DataPath::to_engine(const LiveSession& session, const PacketView& packet) {
  if (!engine_ || engine_failed_) {
    parts_.reporter.unowned().drop(Drop::engine_failed, super_.segments);
    return;
  }
  if (batch_.size() + super_.segments > kBatch) hand_over();
  if (packet.segment_size != 0 && !engine_->takes_super_packets()) {
    return cut_for_engine({packet.bytes, packet.segment_size, session.id}, super_);
  }
  if (inet::wants_mss_clamp(info_)) {
    if (Packet copy = parts_.pool.copy_of(packet.bytes)) {
      inet::clamp_mss(copy.bytes(), info_, session.link->mtu());
      batch_.push_back({copy.bytes(), 0, session.id});
      own_.push_back(std::move(copy));
      return;
    }
  }
  batch_.push_back({packet.bytes, packet.segment_size, session.id});
}

void DataPath::cut_for_engine(const PacketView& packet, const inet::SuperInfo& info) {
  size_t cut = inet::segment(packet.bytes, info, parts_.pool, [&](Packet&& piece) {
    batch_.push_back({piece.bytes(), 0, packet.session});
    own_.push_back(std::move(piece));
  });
  if (cut < info.segments) parts_.reporter.unowned().drop(Drop::queue_full, info.segments - cut);
}

void DataPath::hand_over() {
  try {
    if (!batch_.empty()) engine_->write(batch_);
  } catch (const std::bad_alloc&) {
    parts_.reporter.unowned().drop(Drop::engine_full, batch_.size());
  }
  forget_batch();
  if (parts_.crossing) parts_.crossing->publish();
}

void DataPath::on_engine_packets(std::span<Packet> batch) {
  keep_up();
  inet::InnerPacket info;
  for (Packet& packet : batch) {
    Drop drop = inet::classify(packet.bytes(), info);
    router::Verdict verdict;
    if (drop == Drop::none) {
      verdict = parts_.router.from_engine(info, parts_.loop.now());
      drop = verdict.drop;
    }
    if (drop == Drop::none && verdict.to_all) {
      to_everybody(packet, info);
      to_everybody_elsewhere(packet);
      continue;
    }
    LiveSession* session = drop == Drop::none ? parts_.sessions.find(verdict.session) : nullptr;
    if (drop == Drop::no_route && verdict.client != 0 && offline_) {
      const uint16_t segments = packet.segments;
      drop = offline_(verdict.client, std::move(packet));
      if (drop != Drop::none) parts_.reporter.unowned().drop(drop, segments);
      continue;
    }
    if (!session) {
      const PacketView view{packet.bytes(), packet.segment_size, 0};
      if (drop == Drop::none && to_other_shard(view, packet.segments, verdict.session)) continue;
      parts_.reporter.unowned().drop(drop == Drop::none ? Drop::no_route : drop, packet.segments);
      continue;
    }
    to_session(*session, std::move(packet), info);
  }
  if (parts_.crossing) parts_.crossing->publish();
}

void DataPath::deliver_awaited(LiveSession& session, Packet&& packet) {
  inet::InnerPacket info;
  Drop drop = inet::classify(packet.bytes(), info);
  // It was routed by a table that may have changed.
  if (drop == Drop::none) drop = parts_.router.still_to_client(session.id, info);
  if (drop != Drop::none) return session.counters.drop(drop, packet.segments);
  to_session(session, std::move(packet), info);
}

// Multicast and broadcast, where the configuration lets them in.
void DataPath::to_everybody(const Packet& packet, const inet::InnerPacket& info) {
  parts_.sessions.for_each([&](LiveSession& session) {
    Packet copy = parts_.pool.copy_of(packet.bytes());
    if (!copy) return session.counters.drop(Drop::queue_full, packet.segments);
    copy.segment_size = packet.segment_size;
    copy.segments = packet.segments;
    to_session(session, std::move(copy), info);
  });
}

void DataPath::to_session(LiveSession& session, Packet&& packet, const inet::InnerPacket& info) {
  if (!may_come_from(session, info)) return session.counters.drop(Drop::source_blocked, packet.segments);
  uint16_t mtu = session.link->mtu();
  if (inet::wants_mss_clamp(info)) inet::clamp_mss(packet.bytes(), info, mtu);
  if (packet.segment_size != 0) return send_whole_or_cut(session, std::move(packet), info);
  if (packet.size() > mtu) return too_big(session, packet, info, mtu);
  send(session, std::move(packet));
}

void DataPath::send_whole_or_cut(LiveSession& session, Packet&& packet, const inet::InnerPacket& info) {
  uint16_t mtu = session.link->mtu();
  const bool slow = session.limits && session.limits->to_client.is_slow();
  bool sent = forward::send_whole_or_cut(
      std::move(packet), session.link->takes_super_packets() && !slow, mtu, parts_.pool,
      [&](Packet&& piece) { send(session, std::move(piece)); },
      [&](Drop drop, uint64_t packets) { session.counters.drop(drop, packets); });
  // NOLINTNEXTLINE(bugprone-use-after-move): what was not sent was left alone
  if (!sent) too_big(session, packet, info, mtu);
}

void DataPath::send(LiveSession& session, Packet&& packet) {
  uint64_t segments = packet.segments, bytes = packet.size();
  Drop drop = session.link->send(std::move(packet));
  if (drop != Drop::none) {
    session.counters.drop(drop, segments);
    return;
  }
  session.counters.inner_packets_out += segments;
  session.counters.inner_bytes_out += bytes;
}

// What is larger than the session's MTU is fragmented where IPv4 allows it, otherwise its sender is told.
void DataPath::too_big(LiveSession& session, const Packet& packet, const inet::InnerPacket& info, uint16_t mtu) {
  inet::FragmentPlan plan;
  if (packet.segment_size == 0 && inet::plan_fragments(packet.bytes(), mtu, plan) == Drop::none) {
    inet::fragment(packet.bytes(), plan, parts_.pool, [&](Packet&& piece) { send(session, std::move(piece)); });
    return;
  }
  session.counters.drop(Drop::too_big, packet.segments);
  if (!engine_ || engine_failed_ || !session.icmp.allow(parts_.loop.now())) return;
  // In the client's name: a kernel takes no packet from a device that claims to come from the kernel's own address,
  // as the gateway's is.
  std::array<uint8_t, inet::kMaxIcmpError> answer;
  size_t size = inet::write_too_big(packet.bytes(), info, mtu, info.dst, answer);
  if (size == 0) return;
  PacketView view{ByteView(answer.data(), size), 0, 0};
  const uint64_t sender = parts_.router.table().lookup(info.src).session;
  if (LiveSession* here = parts_.sessions.find(sender)) {
    if (Packet copy = parts_.pool.copy_of(view.bytes)) send(*here, std::move(copy));
  } else if (!to_other_shard(view, 1, sender)) {
    engine_->write({&view, 1});
  }
}

void DataPath::on_engine_drop(Drop drop, uint64_t packets) { parts_.reporter.unowned().drop(drop, packets); }

void DataPath::on_engine_failed(const Error& error) {
  engine_failed_ = true;
  parts_.reporter.log(LogLevel::error, "forwarding has failed: " + error.text);
}

void DataPath::on_engine_recovered(const std::string& how) {
  engine_failed_ = false;
  parts_.reporter.log(LogLevel::warning, "forwarding works again: " + how);
  if (recovered_) recovered_();
}

void DataPath::on_engine_notice(const std::string& text) { parts_.reporter.log(LogLevel::warning, text); }

}  // namespace smartvpn::server
