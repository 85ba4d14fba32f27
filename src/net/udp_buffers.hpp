// What UDP sockets read into and write from; for their own sources alone.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include "net/sockaddr.hpp"
#include "net/udp_control.hpp"

namespace smartvpn::net {

struct UdpBuffers {
  // Messages that hold one datagram each come in batches of kSlots, those that hold many in smaller ones, so that a
  // batch stays in the processor's cache. Pages of a slot that were never filled cost no memory.
  static constexpr size_t kSlots = 64, kWideSlots = 8;
  static constexpr size_t kSlotSize = 65536;
  // Not a power of two: slots that begin at equal places of the cache's sets would drive each other out.
  static constexpr size_t kStride = kSlotSize + 17 * 64;
  static constexpr size_t kSendMessages = 16;
  struct alignas(cmsghdr) Control {
    uint8_t bytes[kControlSize];
  };

  std::unique_ptr<uint8_t[]> memory{new uint8_t[kSlots * kStride]};
  std::array<mmsghdr, kSlots> messages{};
  std::array<iovec, kSlots> iov{};
  std::array<SocketAddress, kSlots> names{};
  std::array<Control, kSlots> controls{};
  std::array<Datagram, kSlots> datagrams{};

  std::array<mmsghdr, kSendMessages> out{};
  std::array<std::array<iovec, UdpSocket::kMaxPieces>, kSendMessages> out_iov{};
  std::array<SocketAddress, kSendMessages> out_names{};
  std::array<Control, kSendMessages> out_controls{};

  // One message, cut: all parts have the same name and control messages.
  static constexpr size_t kCutMessages = 64;
  std::array<mmsghdr, kCutMessages> cut{};
  std::array<iovec, kCutMessages + UdpSocket::kMaxPieces> cut_iov{};
};

}  // namespace smartvpn::net
