// What the host engine and its channel share: two rings, and the rules by which one side wakes the other.
//
// A signal is raised at most once until its consumer has found the ring empty and lowered it; after lowering
// it the consumer looks again. Ring positions and flags are sequentially consistent, so either the
// producer sees the lowered flag and raises it, or the consumer sees the packet.
#pragma once

#include <atomic>
#include <optional>

#include "base/mutex.hpp"
#include "forward/host/host_engine.hpp"
#include "forward/host/packet_ring.hpp"
#include "net/fd.hpp"

namespace smartvpn::forward {

struct HostChannel::Impl {
  explicit Impl(size_t ring_bytes) : to_host(ring_bytes), to_clients(ring_bytes) {}

  // The shard's side.
  void signal_host() noexcept;  // after publishing to to_host
  void close() noexcept;

  // The host's side, with its lock held.
  size_t take(ByteSpan arena, std::span<HostPacket> meta, bool& too_small) noexcept REQUIRES(read_lock);
  void lower_signal() noexcept REQUIRES(read_lock);

  PacketRing to_host, to_clients;
  net::Fd event;  // eventfd; readable while host_signalled
  int error = 0;  // errno, if there is none
  std::atomic<bool> host_signalled{false};
  std::atomic<bool> shard_signalled{false};
  std::atomic<bool> closed{false};
  // Orders host threads among themselves; the shard takes write_lock only in start() and stop().
  Mutex read_lock, write_lock;
  net::Wake* shard_wake GUARDED_BY(write_lock) = nullptr;
};

}  // namespace smartvpn::forward
