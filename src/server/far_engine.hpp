// The engine as shards see it that do not own it: what their clients send goes to the owner by ring, and what is for
// their clients comes the same way, past this. For engines with one way in: `host`, `testing`, a device with one
// queue.
#pragma once

#include "forward/engine.hpp"
#include "inet/super_packet.hpp"
#include "server/crossing.hpp"

namespace smartvpn::server {

class FarEngine final : public forward::Engine {
 public:
  static constexpr size_t kOwner = 0;  // the shard with the engine

  // `super_packets`: what the engine itself took when it was opened.
  FarEngine(Crossing::End& end, bool super_packets) noexcept : end_(end), super_packets_(super_packets) {}

  Result<void> start(const forward::EngineNetwork&, forward::EngineSink& sink) override {
    sink_ = &sink;
    return {};
  }
  void write(std::span<const PacketView> batch) override {
    uint64_t full = 0;
    for (const PacketView& packet : batch) {
      const ShardRing::Record record{static_cast<uint32_t>(packet.bytes.size()), packet.segment_size, 1,
                                     Crossing::kToEngine, packet.session};
      if (end_.push(kOwner, record, packet.bytes)) continue;
      inet::SuperInfo info;
      const bool super =
          packet.segment_size != 0 && inet::parse_super(packet.bytes, packet.segment_size, info) == Drop::none;
      full += super ? info.segments : 1;
    }
    if (full > 0) sink_->on_engine_drop(Drop::queue_full, full);
  }
  bool takes_super_packets() const override { return super_packets_; }
  void stop() override {}

 private:
  Crossing::End& end_;
  const bool super_packets_;
  forward::EngineSink* sink_ = nullptr;
};

}  // namespace smartvpn::server
