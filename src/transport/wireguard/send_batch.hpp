// Packets on their way out, of one turn or of as many as the cipher takes at once: cut, padded and laid out where they
// will be sealed and sent from. Keys, counters and addresses are taken at the end, in one go for each peer, so that
// nothing is sealed that is not sent. A super-packet's segments lie in the arena, at an equal stride; a single packet
// stays in its own block. Fixed memory.
#pragma once

#include <array>
#include <memory>

#include "base/packet.hpp"
#include "base/reason.hpp"
#include "crypto/aead.hpp"
#include "net/udp_socket.hpp"
#include "transport/wireguard/keypair.hpp"
#include "transport/wireguard/path.hpp"

namespace smartvpn::wireguard {

class SendBatch {
 public:
  static constexpr size_t kReady = 128;  // segments worth a call of the cipher's
  static constexpr size_t kArena = 512 * 1024;
  static constexpr size_t kMaxWire = 65507;  // of a UDP datagram

  // A peer's part of the batch; a member of the peer, which is not destroyed before forget().
  struct Part {
    uint16_t first = kNone, last = kNone;
    uint16_t segments = 0;
    bool listed = false;
  };
  // Where a part goes, asked once for each part of a flush.
  struct Target {
    Keypair* keys = nullptr;  // null: dropped
    const Path* path = nullptr;
    net::UdpSocket* socket = nullptr;  // null: dropped
  };
  class Outlet {
   public:
    virtual Target target_of(Part& part) = 0;
    // `bytes` of UDP payload have been sealed and are with the socket, or wait for it.
    virtual void on_sealed(Part& part, Keypair& keys, size_t segments, size_t bytes) = 0;
    virtual void on_unsent(Part& part, size_t segments) = 0;
    virtual void on_source_gone(Part& part) = 0;

   protected:
    ~Outlet() = default;
  };

  explicit SendBatch(crypto::AeadEngine& aead);
  ~SendBatch();

  // Whether any packet can be added now. If not, a flush makes room, unless blocked() afterwards.
  bool has_room() const noexcept;
  // Needs room. none, or why it was not added (too_big, bad_super_packet).
  Drop add(Part& part, Packet&& packet, size_t mtu) noexcept;
  bool ready() const noexcept { return entries_used_ >= kReady; }
  bool empty() const noexcept { return entries_used_ == 0 && !blocked(); }

  // Seals and sends all of it. What a socket does not take stays: blocked() then, until resume() got rid of it.
  void flush(Outlet& outlet) noexcept;
  bool blocked() const noexcept { return messages_sent_ < messages_used_; }
  void resume() noexcept;
  // What has not been sealed yet is dropped; gives how many segments.
  size_t forget(Part& part) noexcept;
  // A socket goes: what waits for it is given up.
  void forget(const net::UdpSocket& socket) noexcept;

 private:
  static constexpr uint16_t kNone = 0xffff;
  static constexpr size_t kMaxEntries = kReady + 128;  // and a super-packet's segments on top
  struct Entry {
    uint8_t* wire = nullptr;  // header, padded packet, room for the tag
    uint32_t size = 0;        // of all that
    uint16_t next = kNone;
    uint8_t ecn = 0;
    Packet block;  // where the bytes are, if not in the arena
  };
  // What else there is to say of a message.
  struct Note {
    size_t part = 0;                   // in parts_; means something in its own flush alone
    net::UdpSocket* socket = nullptr;  // null: it is gone
  };
  // The last message, as long as segments may join it.
  struct Open {
    size_t stride = 0, count = 0, bytes = 0;  // stride 0: none may
  };

  Drop add_single(Part& part, Packet&& packet, size_t padded) noexcept;
  Drop add_super(Part& part, const Packet& packet, size_t mtu) noexcept;
  uint8_t* take(size_t size) noexcept;
  void append(Part& part, uint8_t* wire, size_t size, uint8_t ecn, Packet&& block) noexcept;
  size_t seal(const Part& part, Keypair& keys, uint64_t counter) noexcept;
  void lay_out(const Part& part, size_t index, const Target& target) noexcept;
  bool join(const Entry& entry) noexcept;
  void begin_message(const Entry& entry, size_t index, const Target& target) noexcept;
  void send(Outlet* outlet) noexcept;
  void reset() noexcept;

  crypto::AeadEngine& aead_;
  std::unique_ptr<uint8_t[]> arena_;
  size_t arena_used_ = 0;
  std::unique_ptr<std::array<Entry, kMaxEntries>> entries_;
  size_t entries_used_ = 0;
  std::array<Part*, kMaxEntries> parts_{};
  size_t parts_used_ = 0;
  std::array<crypto::SealJob, kReady> jobs_;
  std::array<net::OutDatagram, kMaxEntries> messages_;
  std::array<Note, kMaxEntries> notes_;  // of messages_
  Open open_;
  size_t messages_used_ = 0, messages_sent_ = 0;
  std::array<ByteView, kMaxEntries> pieces_;
  size_t pieces_used_ = 0;
};

}  // namespace smartvpn::wireguard
