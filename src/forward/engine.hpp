// What stands behind the tunnel: a kernel device, the embedding program, or nothing but a ping
// responder. The server hands an engine batches of packets that have passed every check, and the
// engine hands back what wants to reach clients.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/packet.hpp"
#include "base/reason.hpp"
#include "base/result.hpp"
#include "inet/address.hpp"

namespace smartvpn::forward {

// Where an engine delivers. Called on the shard's thread only.
class EngineSink {
 public:
  virtual ~EngineSink() = default;
  // Packets towards clients, routed by inner destination. The sink moves out what it keeps.
  virtual void on_engine_packets(std::span<Packet> batch) = 0;
  // Packets that the engine could not take or deliver, by name.
  virtual void on_engine_drop(Drop drop, uint64_t packets) = 0;
  // The engine can no longer work (device deleted). The server goes on with its sessions and says so.
  virtual void on_engine_failed(const Error& error) = 0;
  // It can again, and `how` says by what.
  virtual void on_engine_recovered(const std::string& how) = 0;
  // Somebody else has changed what the engine works with, or it was put back; one sentence for the log.
  virtual void on_engine_notice(const std::string& text) = 0;
  virtual PacketPool& engine_pool() = 0;
};

struct EngineNetwork {
  std::vector<inet::Cidr> subnets;        // inner networks, both families
  std::vector<inet::IpAddress> gateways;  // our own inner address in each subnet
  std::vector<inet::Cidr> routes;         // further prefixes behind clients
  uint16_t mtu = 1420;
};

class Engine {
 public:
  virtual ~Engine() = default;
  // Opens what it needs; on failure nothing is left behind. The sink outlives the engine.
  virtual Result<void> start(const EngineNetwork& network, EngineSink& sink) = 0;
  // Packets from clients. The views are valid during the call only.
  virtual void write(std::span<const PacketView> batch) = 0;
  // Ends a batch of writes: whatever the engine coalesced goes out now.
  virtual void flush() {}
  // Whether super-packets go whole (`segment_size` set) or have to be segmented first.
  virtual bool takes_super_packets() const = 0;
  // Other prefixes behind clients than start() or an earlier call said, in place of those. What the kernel
  // refuses is an error, and what was there stays.
  virtual Result<void> set_routes(const std::vector<inet::Cidr>&) { return {}; }
  // Undoes start(): addresses, routes, the device.
  virtual void stop() = 0;
  // "tun0" for a device, "" otherwise.
  virtual std::string device_name() const { return {}; }
};

}  // namespace smartvpn::forward
