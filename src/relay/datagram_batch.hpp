// One client's datagrams on their way to one target, as few messages as they make: those of equal size go as segments
// of one, each with its PROXY header in front. Views only: what they point to stays until they are sent. Pure.
#pragma once

#include <array>
#include <span>

#include "net/udp_socket.hpp"

namespace smartvpn::relay {

class DatagramBatch {
 public:
  static constexpr size_t kMaxMessages = 16;

  DatagramBatch() = default;
  DatagramBatch(const DatagramBatch&) = delete;  // messages point into it
  DatagramBatch& operator=(const DatagramBatch&) = delete;

  // False: there is no room for it before clear(). `head` may be empty.
  bool add(ByteView head, ByteView payload, uint8_t ecn) noexcept;
  void clear() noexcept { count_ = 0; }
  bool empty() const noexcept { return count_ == 0; }

  // In the order in which they came.
  std::span<net::OutDatagram> messages() noexcept { return {messages_.data(), count_}; }
  // Of a message: how many datagrams it is, and their bytes without heads.
  size_t datagrams_of(size_t message) const noexcept { return parts_[message].datagrams; }
  size_t payload_of(size_t message) const noexcept { return parts_[message].payload; }

 private:
  struct Part {
    std::array<ByteView, net::UdpSocket::kMaxPieces> pieces;
    size_t count = 0;  // of pieces
    size_t datagrams = 0, payload = 0, size = 0;
    bool closed = false;  // its last datagram is shorter than the others, so nothing can follow
  };
  bool join(ByteView head, ByteView payload, uint8_t ecn) noexcept;
  void put(ByteView head, ByteView payload) noexcept;

  std::array<net::OutDatagram, kMaxMessages> messages_;
  std::array<Part, kMaxMessages> parts_;
  size_t count_ = 0;
};

}  // namespace smartvpn::relay
