// A shard's WireGuard: its device, and what keeps the device in step with the registry. Every key of every client is a
// peer of the device, so that who may not come is refused by name and not unknown; during a rotation the former key is
// one of its own. Shard thread only; without a WireGuard listener it does nothing.
#pragma once

#include "server/client_directory.hpp"
#include "server/handshake_stamps.hpp"
#include "server/server.hpp"
#include "telemetry/stats.hpp"
#include "transport/wireguard/device.hpp"

namespace smartvpn::server {

class WireguardCarrier {
 public:
  struct Parts {
    const Plan& plan;  // the one in force, also later
    ClientDirectory& clients;
    HandshakeStamps& stamps;
    net::Loop& loop;
    session::Host& host;
    crypto::AeadEngine& aead;
    PacketPool& pool;
    uint64_t& next_connection_id;
  };
  explicit WireguardCarrier(const Parts& parts) : parts_(parts) {}
  ~WireguardCarrier() { close(); }

  // Makes a peer of every key in the registry, and binds the plan's WireGuard listeners, whose endpoints it appends.
  Result<void> open(std::vector<BoundEndpoint>& endpoints);
  // Notes the last timestamps, and ends everything.
  void close() noexcept;
  wireguard::Device* device() noexcept { return device_.get(); }

  // The registry's change is committed. May throw std::bad_alloc, and is then repeated.
  void apply(const registry::Draft& draft);
  // The overlap of the client's rotation is over.
  void end_rotation(const std::string& client_id) noexcept;
  // The plan has changed to `next`, which is in force now. Needs no memory.
  struct Change {
    std::shared_ptr<const wireguard::Identity> identity;  // null: the same as before
  };
  Change prepare(const Plan& next) const;
  void reconfigure(Change change) noexcept;
  // Once a second or so: brings new timestamps to where they are kept.
  void tick() noexcept;

  // For a client that has no session: begins one if it is known where the client is.
  Drop wake(uint64_t client, Packet&& packet) noexcept {
    return device_ ? device_->wake(client, std::move(packet)) : Drop::no_route;
  }
  void begin_drain() noexcept;
  void close_all(Reason reason) noexcept;
  size_t connections() const noexcept { return device_ ? device_->connections() : 0; }
  bool deliver_verdict(uint64_t connection, const session::IdentityVerdict& verdict) noexcept {
    return device_ && device_->deliver_verdict(connection, verdict);
  }
  void flush() noexcept {
    if (device_) device_->flush();
  }
  // What belongs to no session: absent without a WireGuard listener.
  std::optional<telemetry::WireguardStats> stats() const;

 private:
  void set_peers(const registry::Client& client);
  wireguard::ListenerOptions listener_options(size_t index) const;

  Parts parts_;
  std::unique_ptr<wireguard::Device> device_;
  std::unordered_map<std::string, PublicKey> former_;  // keys of rotations that overlap, by client
  std::vector<std::pair<PublicKey, wireguard::Tai64n>> grown_;
};

// Whether a listener of the plan is WireGuard's.
bool speaks_wireguard(const Plan& plan) noexcept;

}  // namespace smartvpn::server
