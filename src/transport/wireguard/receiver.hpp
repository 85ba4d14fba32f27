// From datagrams to inner packets: messages are told apart, data is gathered into runs, and what a run holds is opened
// at once and given to the host as one batch, in order and where it lies.
#pragma once

#include <array>

#include "transport/wireguard/device.hpp"
#include "transport/wireguard/receive_batch.hpp"

namespace smartvpn::wireguard {

class Receiver final : private ReceiveBatch::Opener {
 public:
  explicit Receiver(Device::Impl& device) : device_(device), batch_(*this) {}

  // Messages of one source: a datagram, or several of `segment_size` bytes. The bytes are changed.
  void take(ByteSpan bytes, uint16_t segment_size, const Path& from, uint8_t ecn);
  // Opens what is gathered. The bytes given so far are not needed any more afterwards.
  void finish();
  // Before new bytes: what is left of earlier ones, which an exception has cut short, is not looked at any more.
  void begin() noexcept {
    batch_.discard();
    last_owner_ = nullptr;
  }
  // The peer is going.
  void forget(const Peer& peer) noexcept;

 private:
  struct Opened;
  void take_message(ByteSpan message, const Path& from, uint8_t ecn);
  void take_data(ByteSpan message, const Path& from, uint8_t ecn);
  Peer* owner_of(uint32_t index, ByteView message, const Path& from, uint8_t ecn);
  void open_run(ReceiveBatch::Run& run) override;
  Opened open_messages(ReceiveBatch::Run& run, Keypair& keys) noexcept;
  void take_packet(ByteSpan plain, uint8_t ecn, Opened& out) noexcept;

  Device::Impl& device_;
  ReceiveBatch batch_;
  // Whose the latest data message was: the next is likely the same one's. Means nothing once the batch is opened.
  uint32_t last_index_ = 0;
  Peer* last_owner_ = nullptr;
  std::array<PacketView, ReceiveBatch::kMessages> packets_;
};

}  // namespace smartvpn::wireguard
