// Which queue of a tun device the kernel puts a packet in, by its inner destination: an eBPF program of ours asks a map
// of prefixes (TUNSETSTEERINGEBPF, Linux 4.16; LPM tries, 4.11). So the shard that reads a packet is the one whose
// client it is for. Needs CAP_NET_ADMIN, and CAP_BPF where that exists; who is refused does without, and shards hand
// packets over.
#pragma once

#include <memory>

#include "base/result.hpp"
#include "inet/address.hpp"
#include "net/fd.hpp"
#include "net/loop.hpp"

namespace smartvpn::forward {

class TunSteering {
 public:
  static constexpr unsigned kMaxPrefixes = 1u << 20;

  // `queues`: how many the device will have, at least 1. The loop outlives it; made and destroyed on its thread.
  static Result<std::unique_ptr<TunSteering>> create(net::Loop& loop, unsigned queues);
  ~TunSteering();
  TunSteering(const TunSteering&) = delete;
  TunSteering& operator=(const TunSteering&) = delete;

  // For a device, by any of its queues' descriptors. It stays with the device beyond our end.
  Result<void> attach(int tun) const;
  // Any thread. The longest prefix counts; what no prefix holds goes to queue 0. INVALID for a queue that is none;
  // SYSTEM when the map is full or memory is out.
  Result<void> set(const inet::Cidr& destination, unsigned queue) const;
  Result<void> set(const inet::IpAddress& destination, unsigned queue) const;
  // Nothing where it was not set.
  void erase(const inet::Cidr& destination) const noexcept;
  void erase(const inet::IpAddress& destination) const noexcept;

 private:
  TunSteering(net::Loop& loop, unsigned queues, net::Fd map, net::Fd program);
  net::Loop& loop_;
  const unsigned queues_;
  net::Fd map_, program_;
  uint32_t map_slot_ = 0, program_slot_ = 0;
};

}  // namespace smartvpn::forward
