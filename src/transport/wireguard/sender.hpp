// From inner packets to datagrams: packets of a turn are gathered, super-packets cut, all sealed in batches per key, and
// handed to the kernel as messages of many equal segments. What was cut lies in a fixed arena; a single packet is
// sealed where it lies, in the room that its block has around it.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "inet/super_packet.hpp"
#include "net/udp_socket.hpp"
#include "transport/wireguard/device.hpp"

namespace smartvpn::wireguard {

class Peer;

class Sender {
 public:
  static constexpr size_t kBatch = 128;           // segments sealed at once
  static constexpr size_t kMessages = kBatch;     // at most one each
  static constexpr size_t kArena = 256 * 1024;    // bytes for what is cut

  explicit Sender(Device::Impl& device);

  // Takes a packet whose peer has keys. Sends by itself when a batch is full.
  void add(Peer& peer, Packet&& packet) noexcept;
  // Seals and sends all that was added.
  void flush() noexcept;
  // A message without a packet. At once, behind what was added.
  void keepalive(Peer& peer) noexcept;
  // The peer is going: nothing of its is kept.
  void forget(const Peer& peer) noexcept;

 private:
  struct Entry {
    Peer* peer = nullptr;
    Packet packet;
  };
  // One data message on its way: the place of its 16 bytes of header, and what is sealed behind them.
  struct Segment {
    uint8_t* message = nullptr;
    uint32_t plain = 0;  // padded
    uint8_t ecn = 0;
    size_t wire() const noexcept;
  };

  size_t take_some(size_t from, Peer& peer) noexcept;
  bool cut(const Packet& packet, Peer& peer) noexcept;
  bool place(Packet& packet, Peer& peer) noexcept;
  uint8_t* from_arena(size_t size) noexcept;
  void seal_and_send(Peer& peer, bool payload) noexcept;
  size_t make_message(size_t first, const Peer& peer) noexcept;

  Device::Impl& device_;
  std::vector<Entry> entries_;  // reserved at construction
  size_t waiting_ = 0;          // segments in them
  bool flushing_ = false;
  std::unique_ptr<uint8_t[]> arena_;
  size_t arena_used_ = 0;
  std::array<Segment, kBatch> segments_;
  size_t count_ = 0;
  uint16_t next_piece_ = 0;  // of a super-packet that did not fit as a whole: where it goes on
  inet::SuperInfo super_;
  std::array<crypto::SealJob, kBatch> jobs_;
  std::array<ByteView, kBatch> pieces_;
  size_t piece_count_ = 0;
  std::array<net::OutDatagram, kMessages> out_;
  size_t out_count_ = 0;
};

}  // namespace smartvpn::wireguard
