// Inner packets between sessions and the engine: classified, routed, counted, and cut or answered
// where they do not fit. One pass a packet or super-packet, no allocation, every drop under its name.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "forward/engine.hpp"
#include "inet/super_packet.hpp"
#include "net/loop.hpp"
#include "router/router.hpp"
#include "server/crossing.hpp"
#include "server/reporter.hpp"

namespace smartvpn::server {

class DataPath final : public forward::EngineSink {
 public:
  struct Parts {
    SessionTable& sessions;
    router::Router& router;
    Reporter& reporter;
    PacketPool& pool;
    net::Loop& loop;
    // With several shards: changes of routes that others make, and the rings to and from them. Else null.
    RouteLog::Reader* routes = nullptr;
    Crossing::End* crossing = nullptr;
  };
  explicit DataPath(const Parts& parts);

  // The engine that takes what sessions send; null before start and after stop.
  void set_engine(forward::Engine* engine) { engine_ = engine; }
  void from_session(LiveSession& session, std::span<const PacketView> batch);
  // Packets that a rate limit held back and lets go now; the session has limits.
  void release(LiveSession& session);
  // The rules have changed: what waits for the session's carrier is judged by the new ones.
  void judge_waiting(LiveSession& session) noexcept;
  // Asked before a packet for a client without a session is dropped; takes it, or says why not. Must not throw.
  using Offline = std::function<Drop(uint64_t client_number, Packet&& packet)>;
  void on_offline(Offline callback) { offline_ = std::move(callback); }
  // The same for a client whose carrier is on another shard: none when it is on its way there.
  Drop to_offline_elsewhere(size_t shard, uint64_t client_number, const Packet& packet) noexcept;
  // What other shards have for the carrier. The bytes are valid during the call. Must not throw.
  using ForCarrier = std::function<void(ByteView bytes)>;
  void on_carrier_bytes(ForCarrier callback) { for_carrier_ = std::move(callback); }
  // Called when the engine can work again.
  void on_recovered(std::function<void()> callback) { recovered_ = std::move(callback); }
  // A packet that has waited for this session to begin.
  void deliver_awaited(LiveSession& session, Packet&& packet);
  bool engine_failed() const { return engine_failed_; }
  // Takes what other shards have sent here, up to `limit` packets of each. True: more is waiting.
  bool from_other_shards(size_t limit);
  static constexpr size_t kBatch = 256;

  void on_engine_packets(std::span<Packet> batch) override;
  void on_engine_drop(Drop drop, uint64_t packets) override;
  void on_engine_failed(const Error& error) override;
  void on_engine_recovered(const std::string& how) override;
  void on_engine_notice(const std::string& text) override;
  PacketPool& engine_pool() override { return parts_.pool; }

 private:
  // True: it waits, or was dropped, because the client is over its limit.
  bool held_back(LiveSession& session, const PacketView& packet);
  void hold(LiveSession& session, const PacketView& packet, Time now);
  void take_in(LiveSession& session, const PacketView& packet);
  bool may_come_from(const LiveSession& session, const inet::InnerPacket& info) const noexcept;
  // Into info_, super_ and verdict_.
  Drop judge(const LiveSession& session, const PacketView& packet);
  Drop judge_afresh(const LiveSession& session, const PacketView& packet);
  void to_engine(const LiveSession& session, const PacketView& packet);
  bool wakes(const LiveSession& sender, const PacketView& packet);
  void to_peer(LiveSession& peer, const PacketView& packet);
  void hand_over();
  void forget_batch() noexcept;
  // However a batch ends, by an exception too: no view of it is left for the next.
  struct Forgetful {
    explicit Forgetful(DataPath& path) noexcept : path_(path) {}
    ~Forgetful() { path_.forget_batch(); }
    DataPath& path_;
  };
  // `info` describes the packet.
  void to_session(LiveSession& session, Packet&& packet, const inet::InnerPacket& info);
  void to_everybody(const Packet& packet, const inet::InnerPacket& info);
  void send(LiveSession& session, Packet&& packet);
  void send_whole_or_cut(LiveSession& session, Packet&& packet, const inet::InnerPacket& info);
  void too_big(LiveSession& session, const Packet& packet, const inet::InnerPacket& info, uint16_t mtu);

  // data_path_crossing.cpp
  void keep_up() noexcept;
  // For a session that is not this shard's. False: it is no other shard's either.
  bool to_other_shard(const PacketView& packet, uint16_t segments, uint64_t to) noexcept;
  void to_everybody_elsewhere(const Packet& packet) noexcept;
  void take_over(const ShardRing::Record& record, ByteView bytes);
  void take_over_for_offline(const ShardRing::Record& record, ByteView bytes);
  void take_over_for_engine(const ShardRing::Record& record, ByteView bytes);
  void cut_for_engine(const PacketView& packet, const inet::SuperInfo& info);

  Parts parts_;
  forward::Engine* engine_ = nullptr;
  Offline offline_;
  ForCarrier for_carrier_;
  std::function<void()> recovered_;
  bool engine_failed_ = false;
  inet::InnerPacket info_;         // of the client's packet at hand; an engine may answer in between
  inet::SuperInfo super_;          // likewise, if it is a super-packet
  router::Verdict verdict_;        // likewise
  ByteView last_;                  // the packet of this batch that info_ and verdict_ are about; empty: none
  std::vector<PacketView> batch_;  // for the engine
  std::vector<Packet> own_;        // what of the batch had to be copied: cut segments, clamped SYNs
};

}  // namespace smartvpn::server
