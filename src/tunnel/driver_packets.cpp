// The tunnel's data path: what the server sends goes to the engine, what the engine sends to the server.
#include "forward/cut.hpp"
#include "tunnel/driver.hpp"

namespace smartvpn::tunnel {

void Driver::on_packets(std::span<const PacketView> batch) {
  batch_.clear();
  std::vector<Packet> pieces;  // stays without memory unless the engine wants super-packets cut
  for (const PacketView& packet : batch) {
    inet::InnerPacket info;
    inet::SuperInfo super;
    super.segments = 1;
    Drop drop = packet.segment_size ? inet::inspect(packet.bytes, packet.segment_size, info_.mtu, super) : Drop::none;
    if (drop == Drop::none) drop = inet::classify(packet.bytes, info);
    if (drop != Drop::none) {
      counters_.drop(drop);
      continue;
    }
    counters_.inner_packets_in += super.segments;
    counters_.inner_bytes_in += packet.bytes.size();
    if (packet.segment_size == 0 || engine_->takes_super_packets()) {
      batch_.push_back(packet);
      continue;
    }
    inet::segment(packet.bytes, super, pool_, [&](Packet&& piece) { pieces.push_back(std::move(piece)); });
  }
  if (!batch_.empty()) engine_->write(batch_);
  for (const Packet& piece : pieces) {
    PacketView view{piece.bytes(), 0, 0};
    engine_->write({&view, 1});
  }
}

void Driver::on_engine_packets(std::span<Packet> batch) {
  for (Packet& packet : batch) {
    if (!connection_ || info_.state != State::connected) {
      counters_.drop(Drop::session_not_ready, packet.segments);
      continue;
    }
    inet::InnerPacket info;
    if (Drop drop = inet::classify(packet.bytes(), info); drop != Drop::none) {
      counters_.drop(drop, packet.segments);
      continue;
    }
    // The device's own chatter (router solicitations, MLD) is nothing the server takes.
    if (info.multicast) {
      counters_.drop(Drop::neighbour_noise, packet.segments);
      continue;
    }
    send(std::move(packet));
  }
}

void Driver::send(Packet&& packet) {
  auto count = [&](Packet&& piece) {
    uint64_t segments = piece.segments, bytes = piece.size();
    if (Drop drop = connection_->send(std::move(piece)); drop != Drop::none) return counters_.drop(drop, segments);
    counters_.inner_packets_out += segments;
    counters_.inner_bytes_out += bytes;
  };
  if (const auto segments = packet.segments; packet.segment_size != 0) {
    bool sent = forward::send_whole_or_cut(std::move(packet), connection_->takes_super_packets(), info_.mtu, pool_,
                                           count, [&](Drop drop, uint64_t packets) { counters_.drop(drop, packets); });
    if (!sent) counters_.drop(Drop::too_big, segments);
  } else if (packet.size() > info_.mtu) {
    counters_.drop(Drop::too_big);
  } else {
    count(std::move(packet));
  }
}

void Driver::on_engine_failed(const Error& error) { log("error", "forwarding has failed: " + error.text); }

}  // namespace smartvpn::tunnel
