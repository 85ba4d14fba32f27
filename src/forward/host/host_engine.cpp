// The shard's side of the host engine; see host_engine.hpp.
#include "forward/host/host_engine.hpp"

#include "forward/host/host_channel.hpp"
#include "inet/super_packet.hpp"

namespace smartvpn::forward {

HostEngine::HostEngine(net::Loop& loop, const HostEngineOptions& options)
    : loop_(loop), options_(options), channel_(std::make_shared<HostChannel>(options)) {}

HostEngine::~HostEngine() { stop(); }

Result<void> HostEngine::start(const EngineNetwork&, EngineSink& sink) {
  if (channel_->fd() < 0) return system_error(channel_->impl().error, "cannot create the packets' descriptor");
  auto wake = net::Wake::create(loop_, [this] { deliver(); });
  if (!wake) return wake.error();
  wake_ = std::move(*wake);
  sink_ = &sink;
  batch_.reserve(kPacketsPerTurn);  // delivering needs no memory, so it always comes to its end
  // The host may fork: a child closes the descriptor with the loop's others.
  slot_ = loop_.descriptors().add(channel_->fd());
  auto& channel = channel_->impl();
  MutexLock lock(channel.write_lock);
  channel.shard_wake = wake_.get();
  return {};
}

void HostEngine::stop() {
  if (!sink_) return;
  channel_->impl().close();  // from here on nobody uses the wake
  wake_.reset();
  loop_.descriptors().remove(slot_);
  sink_ = nullptr;
}

void HostEngine::write(std::span<const PacketView> batch) {
  if (!sink_) return;
  auto& channel = channel_->impl();
  uint64_t full = 0;
  for (const PacketView& packet : batch) {
    PacketRing::Record record{static_cast<uint32_t>(packet.bytes.size()), packet.segment_size, packet.session};
    if (!channel.to_host.push(record, packet.bytes)) ++full;
  }
  channel.to_host.publish();
  if (full < batch.size()) channel.signal_host();
  if (full > 0) sink_->on_engine_drop(Drop::engine_full, full);
}

void HostEngine::deliver() {
  auto& ring = channel_->impl().to_clients;
  uint64_t bad = 0, starved = 0;
  PacketRing::Record record;
  for (size_t i = 0; i < kPacketsPerTurn && ring.front(record); ++i) {
    Packet packet = sink_->engine_pool().take(record.length);
    if (!packet) {
      ++starved;
      ring.skip(record);
      continue;
    }
    ring.pop(record, packet.bytes().data());
    if (!describe(packet, record.segment_size)) {
      ++bad;
      continue;
    }
    batch_.push_back(std::move(packet));
  }
  ring.release();
  if (!batch_.empty()) sink_->on_engine_packets(batch_);
  batch_.clear();
  if (bad > 0) sink_->on_engine_drop(Drop::bad_super_packet, bad);
  if (starved > 0) sink_->on_engine_drop(Drop::engine_full, starved);
  rest();
}

// A super-packet of the host: its form is made right here, as the kernel's comes.
bool HostEngine::describe(Packet& packet, uint32_t segment_size) noexcept {
  if (segment_size == 0) return true;
  inet::SuperInfo info;
  if (segment_size > 65535 ||
      inet::parse_super(packet.bytes(), static_cast<uint16_t>(segment_size), info) != Drop::none ||
      info.segments > inet::kMaxSegments)
    return false;
  inet::prepare_partial(packet.bytes(), info);
  packet.segment_size = info.segment_size;
  packet.segments = info.segments;
  return true;
}

// More waits: go on next turn, so that sessions are served in between. Nothing waits: lower the flag, and
// look once more.
void HostEngine::rest() noexcept {
  auto& channel = channel_->impl();
  if (channel.to_clients.empty()) {
    channel.shard_signalled.store(false);
    if (channel.to_clients.empty() || channel.shard_signalled.exchange(true)) return;
  }
  wake_->wake();
}

}  // namespace smartvpn::forward
