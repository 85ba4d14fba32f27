// From datagrams to inner packets: data messages are gathered into runs of one peer's keys and one source, opened at
// once, and given to the host as one batch, in order and where they lie.
#pragma once

#include <array>

#include "net/udp_socket.hpp"
#include "transport/wireguard/device.hpp"
#include "transport/wireguard/path.hpp"

namespace smartvpn::wireguard {

class Peer;

class Receiver {
 public:
  static constexpr size_t kRun = 128;
  explicit Receiver(Device::Impl& device) : device_(device) {}

  // Messages of one source: a datagram, or several of `segment_size` bytes. The bytes are changed.
  void take(ByteSpan bytes, uint16_t segment_size, const Path& from, uint8_t ecn);
  // Opens what is gathered. The bytes given so far are not needed any more afterwards.
  void finish();

 private:
  void take_message(ByteSpan message, const Path& from, uint8_t ecn);
  void take_data(ByteSpan message, const Path& from, uint8_t ecn);
  bool begin_run(uint32_t index, const Path& from, uint8_t ecn, ByteView message);
  void add_opened(crypto::OpenJob& job, size_t* packets, bool* payload);

  Device::Impl& device_;
  Peer* peer_ = nullptr;  // of the run; null: none is open
  Keypair* keys_ = nullptr;
  uint32_t index_ = 0;
  Path from_;
  uint8_t ecn_ = 0;
  size_t count_ = 0;
  uint64_t bytes_ = 0;
  std::array<crypto::OpenJob, kRun> jobs_;
  std::array<PacketView, kRun> packets_;
};

}  // namespace smartvpn::wireguard
