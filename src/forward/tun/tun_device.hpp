// A kernel tun device with offloads: one read can be a 64 KiB super-packet, and so can one write. Serves the
// server's tun engine and the dialling end, which sets addresses and routes once it knows them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/packet.hpp"
#include "base/reason.hpp"
#include "base/result.hpp"
#include "inet/address.hpp"
#include "net/fd_watcher.hpp"

namespace smartvpn::forward {

// A device that another TunDevice has opened; see TunDevice::another_queue().
struct TunQueueOf {
  int index = 0;  // 0: none
  size_t virtio_size = 0;
  bool udp_offload = false;
};

struct TunOptions {
  std::string name;          // "": the kernel chooses; "vpn%d" gives the first free number
  int fd = -1;               // a tun device that the host opened and attached; duplicated, nothing is deleted. What
                             // both descriptors share becomes non-blocking
  bool offload = true;       // false: no virtio header, single packets only
  bool udp_offload = true;   // false: UDP super-packets are cut here, as before Linux 6.2
  bool multi_queue = false;  // further queues will be wanted; see TunDevice::another_queue()
  TunQueueOf queue_of;       // not a device, but one more queue of this one; with `fd`, the queue is open already
  std::string path;          // configuration path for errors
};

struct InterfaceAddress {
  inet::IpAddress ip;
  uint8_t prefix = 0;
  friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

struct TunSettings {
  std::vector<InterfaceAddress> addresses;  // IPv6 without duplicate address detection
  std::vector<inet::Cidr> routes;           // through the device; a default route becomes two halves, so
                                            // that it outranks the host's own instead of replacing it
  // The dialling end: the server's own addresses. Where `routes` would draw one into the device, it gets a host
  // route by the way it has now; otherwise the tunnel would swallow its own carrier.
  std::vector<inet::IpAddress> outside;
  uint16_t mtu = 1420;
  friend bool operator==(const TunSettings&, const TunSettings&) = default;
};

// Called on the loop's thread. The device may be destroyed inside on_tun_failed only.
class TunHandler {
 public:
  virtual ~TunHandler() = default;
  // What the kernel sends into the tunnel, at most kReadsPerTurn reads of it; a turn may make several calls. Move out
  // what you keep.
  virtual void on_tun_packets(std::span<Packet> batch) = 0;
  virtual void on_tun_drop(Drop drop, uint64_t packets) = 0;
  // The device is gone or broken. Once; nothing is read afterwards, and writes are drops.
  virtual void on_tun_failed(const Error& error) = 0;
  // Somebody else has changed the device's state, addresses or routes, or they were set again; a sentence for the log.
  virtual void on_tun_notice(const std::string& text) = 0;
};

class TunSteering;

class TunDevice final : private net::FdHandler {
 public:
  static constexpr int kReadsPerTurn = 64;

  // Creates (or adopts) the device; it carries nothing before apply(). The handler and the pool outlive it.
  // SYSTEM with EPERM without CAP_NET_ADMIN.
  static Result<std::unique_ptr<TunDevice>> open(net::Loop& loop, const TunOptions& options, PacketPool& pool,
                                                 TunHandler& handler);
  // Takes back what apply() set outside of the device, and on one that stays (adopted, or persistent: made by somebody
  // beforehand); a device of ours vanishes with all it had.
  ~TunDevice() override;

  // Sets addresses, MTU and routes, brings the device up and begins to read; later calls change what differs.
  // On failure what this call had added is taken back. From then on what somebody else removes is set again, at most
  // once a second; not on an adopted device.
  Result<void> apply(const TunSettings& settings);

  // Addresses that are about to be dialled, while routes of ours may be up that would draw them into the device:
  // they get host routes as TunSettings::outside, until the next apply(). `afresh`: those that exist, and those that
  // a dead process has left, are made anew, because the host's own network may have changed under them.
  Result<void> keep_outside(const std::vector<inet::IpAddress>& addresses, bool afresh);

  // How to open() one more queue of this device, on any thread of its network namespace, while this one lives: it reads
  // and writes, after start_reading(), and sets nothing. The kernel numbers queues in the order of opening, and gives a
  // flow to the queue that wrote it last, unless steered. Nothing where the device has one queue only: it was not
  // opened with `multi_queue`, or somebody has made it without.
  std::optional<TunOptions> another_queue() const;

  // Packets go to the queues that `steering` says; for the device, whichever of its queues is asked. SYSTEM where the
  // kernel refuses; then all stays as it was. `steering` may end before the device.
  Result<void> steer_by(const TunSteering& steering);

  // In place of apply(), for one more queue, and for an adopted device that the host has set up: begins to read and
  // sets nothing, so it needs no privilege.
  void start_reading();

  // Packets to the kernel that have passed inet::classify(), and super-packets that have passed inspect().
  // Runs of TCP packets of one batch go over as one, after their checksums were verified. Views are valid
  // during the call only. Drops are told by name, before it returns.
  void write(std::span<const PacketView> batch);

  const std::string& name() const noexcept { return name_; }
  int index() const noexcept { return index_; }  // 0: an adopted device of another network namespace
  bool has_offload() const noexcept;             // super-packets both ways; otherwise they are cut here
  bool has_udp_offload() const noexcept;         // the kernel takes UDP ones too

  struct Impl;

 private:
  TunDevice();
  void on_readable() override;
  void on_fd_error() override;
  void on_out_of_memory() noexcept override;
  void look_after();

  net::Loop* loop_ = nullptr;
  std::string name_;
  int index_ = 0;
  std::unique_ptr<Impl> impl_;
};

}  // namespace smartvpn::forward
