// The embedding program is the forwarding engine: packets from clients wait in a ring for its threads to read,
// and what it writes goes to clients. The shard never waits for the host and takes no lock.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "forward/engine.hpp"
#include "forward/host/host_packet.hpp"
#include "net/loop.hpp"

namespace smartvpn::forward {

struct HostEngineOptions {
  size_t ring_bytes = size_t{4} << 20;  // each way; rounded up to a power of two
  bool super_packets = false;           // the host wants super-packets whole, with their segment size
};

// The host's side. Every member from any thread; it may outlive the engine, whose stop() closes it.
class HostChannel {
 public:
  explicit HostChannel(const HostEngineOptions& options);
  ~HostChannel();
  HostChannel(const HostChannel&) = delete;
  HostChannel& operator=(const HostChannel&) = delete;

  // Fills `arena` and `meta` with waiting packets and gives their number, at least 1. Waits up to
  // `timeout_ms` (-1 for ever) for the first. AGAIN with a timeout of 0 and TIMEOUT otherwise when none came,
  // CLOSED after stop() once all is read, BUFFER_TOO_SMALL when the next packet does not fit the arena.
  Result<size_t> read(ByteSpan arena, std::span<HostPacket> meta, int32_t timeout_ms);
  // Gives packets to clients; the number taken from the first on. AGAIN when there is room for none, CLOSED
  // after stop(), INVALID (and nothing taken) for a packet outside the arena, empty or over 65,535 bytes.
  Result<size_t> write(ByteView arena, std::span<const HostPacket> meta);
  // Readable while packets wait or the channel is closed. Only to be polled. Stays the same.
  int fd() const noexcept;
  // In a forked child.
  void abandon_after_fork() noexcept;

  struct Impl;
  Impl& impl() noexcept { return *impl_; }  // for the engine

 private:
  std::unique_ptr<Impl> impl_;
};

class HostEngine final : public Engine {
 public:
  static constexpr size_t kPacketsPerTurn = 64;

  HostEngine(net::Loop& loop, const HostEngineOptions& options);
  ~HostEngine() override;

  // Valid as long as anybody holds it; usable from start() to stop().
  std::shared_ptr<HostChannel> channel() const noexcept { return channel_; }

  Result<void> start(const EngineNetwork& network, EngineSink& sink) override;
  // A full ring drops as engine_full. One wake of the host a batch at most.
  void write(std::span<const PacketView> batch) override;
  bool takes_super_packets() const override { return options_.super_packets; }
  void stop() override;

 private:
  void deliver();
  static bool describe(Packet& packet, uint32_t segment_size) noexcept;
  void rest() noexcept;

  net::Loop& loop_;
  const HostEngineOptions options_;
  std::shared_ptr<HostChannel> channel_;
  EngineSink* sink_ = nullptr;
  std::unique_ptr<net::Wake> wake_;
  uint32_t slot_ = 0;
  std::vector<Packet> batch_;
};

}  // namespace smartvpn::forward
