// See testing_engine.hpp.
#include "forward/testing_engine.hpp"

#include "inet/icmp.hpp"
#include "inet/inner_packet.hpp"
#include "inet/prefix_claims.hpp"

namespace smartvpn::forward {

Result<void> TestingEngine::start(const EngineNetwork& network, EngineSink& sink) {
  subnets_ = network.subnets;
  sink_ = &sink;
  return {};
}

void TestingEngine::stop() {
  sink_ = nullptr;
  replies_.clear();
}

bool TestingEngine::inside(const inet::IpAddress& address) const noexcept {
  return inet::any_contains(subnets_, address);
}

Packet TestingEngine::answer(const PacketView& request) const {
  inet::InnerPacket info;
  if (request.segment_size != 0 || inet::classify(request.bytes, info) != Drop::none || !inside(info.dst)) return {};
  Packet reply = sink_->engine_pool().copy_of(request.bytes);
  if (reply && !inet::echo_reply_in_place(reply.bytes(), info)) return {};
  return reply;
}

void TestingEngine::write(std::span<const PacketView> batch) {
  if (!sink_) return;
  uint64_t ignored = 0;
  std::vector<Packet> replies = std::move(replies_);  // a reply may lead to another write: that has its own
  replies.clear();
  for (const PacketView& packet : batch) {
    Packet reply = answer(packet);
    if (reply) {
      replies.push_back(std::move(reply));
    } else {
      ++ignored;
    }
  }
  if (ignored > 0) sink_->on_engine_drop(Drop::engine_ignored, ignored);
  if (!replies.empty()) sink_->on_engine_packets(replies);
  replies.clear();
  replies_ = std::move(replies);  // for its memory
}

}  // namespace smartvpn::forward
