// The hot UDP path: recvmmsg and sendmmsg on a raw descriptor, many datagrams a call, and where the kernel can do it
// many datagrams a message (UDP_GRO, UDP_SEGMENT; Linux 4.18 and 5.0). Both families; ::ffff:a.b.c.d comes out as IPv4.
// Where a datagram came to, and its ECN bits, are told and can be said. Buffers are fixed, the socket's own or those of
// several. Loop thread only.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "inet/address.hpp"
#include "net/fd_watcher.hpp"

struct mmsghdr;

namespace smartvpn::net {

// One received datagram, or several of equal size that the kernel put together.
struct Datagram {
  ByteSpan bytes;             // writable; valid until the callback returns
  uint16_t segment_size = 0;  // 0: one datagram; else one begins every so many bytes, the last may be shorter
  inet::Endpoint from;
  inet::IpAddress to;      // our address it was sent to; none if the kernel did not say
  uint32_t interface = 0;  // index; 0: not known
  uint8_t ecn = 0;         // 0..3; of all of them
};

// One datagram, or several of equal size (the last may be shorter) that leave as one message.
struct OutDatagram {
  std::span<const ByteView> pieces;  // concatenated; at most UdpSocket::kMaxPieces
  uint16_t segment_size = 0;         // 0: one datagram; else cut every so many bytes, at most kMaxSegments of them
  inet::Endpoint to;
  inet::IpAddress from;    // our address to send from; none: the kernel's choice
  uint32_t interface = 0;  // 0: any. Said of link-local addresses alone: for all others routes decide, by destination
                           // and source, as in kernel WireGuard
  uint8_t ecn = 0;
  bool source_gone = false;  // set by send(): `from` is no address of this machine any more; sent without it
  int error = 0;             // set by send(): why it was given up
};

class UdpHandler {
 public:
  virtual ~UdpHandler() = default;
  virtual void on_datagrams(std::span<Datagram> batch) = 0;
  // After send() took less than all.
  virtual void on_udp_writable() = 0;
  // The socket is broken for good, and not read any more.
  virtual void on_udp_error(const Error& error) = 0;
  // Of a connected socket: nobody takes what was sent to its peer (ICMP; ECONNREFUSED as a rule).
  virtual void on_udp_refused(int /*error*/) {}
};

// What sockets read into and write from, a few MiB. Sockets of one loop may share it: each uses it within its own
// calls alone, and nobody's on_datagrams() may read another's.
struct UdpBuffers;
std::shared_ptr<UdpBuffers> make_udp_buffers();

// sendmmsg(2), or what a test puts in its place.
using SendCall = int (*)(int fd, mmsghdr* messages, unsigned count, int flags);

struct UdpOptions {
  inet::Endpoint address;   // `::` serves both families; port 0: the kernel chooses
  int fd = -1;              // a bound UDP socket of the host's, duplicated, instead of `address`
  bool reuse_port = false;  // several sockets share the port
  std::string path;         // of the configuration, for errors
  bool gro = true, gso = true;
  SendCall send_call = nullptr;
  inet::Endpoint connect_to;            // if set: a socket for this peer alone, whose own end the kernel chooses
  bool share_later = false;             // bound as if alone; then others may join with reuse_port
  int kernel_buffer = 4 << 20;          // bytes, each way: a burst of some milliseconds
  std::shared_ptr<UdpBuffers> buffers;  // null: its own
};

class UdpSocket final : private FdHandler {
 public:
  static constexpr size_t kMaxSegments = 64;
  static constexpr size_t kMaxGsoBytes = 65000;  // of one message: below 65507 with room for IP options
  static constexpr size_t kMaxPieces = 64;       // of one message

  struct Counters {
    uint64_t receive_calls = 0, messages_in = 0, datagrams_in = 0, bytes_in = 0, truncated = 0;
    uint64_t send_calls = 0, messages_out = 0, datagrams_out = 0, bytes_out = 0, gso_refused = 0;
    uint64_t failed = 0;  // datagrams given up: their destination cannot be reached
  };

  // The handler outlives the socket, which may be destroyed in on_udp_error() alone.
  static Result<std::unique_ptr<UdpSocket>> open(Loop& loop, const UdpOptions& options, UdpHandler& handler);
  ~UdpSocket() override;

  const inet::Endpoint& local() const noexcept { return local_; }
  const inet::Endpoint& peer() const noexcept { return peer_; }  // none unless connected
  int fd() const noexcept { return watcher_->fd(); }
  // Sends in order what the kernel takes now, and gives how many are done with: sent, or given up because their
  // destination cannot be reached. on_udp_writable() follows when it is less than all. A message that has to be cut
  // here, because the kernel does not do it, is done with when a part of it is sent. A connected socket looks at no
  // `to`.
  size_t send(std::span<OutDatagram> batch) noexcept;
  void pause_reading() noexcept;
  void resume_reading() noexcept;
  bool has_gso() const noexcept { return gso_; }
  bool has_gro() const noexcept { return gro_; }
  const Counters& counters() const noexcept { return counters_; }

 private:
  using Buffers = UdpBuffers;
  enum class Sent : uint8_t { yes, blocked, refused };
  UdpSocket(const UdpOptions& options, UdpHandler& handler);
  void configure(int fd, int kernel_buffer) noexcept;
  const inet::IpAddress& destination(const OutDatagram& message) const noexcept {
    return peer_ ? peer_.ip : message.to.ip;
  }
  void on_readable() override;
  void on_writable() override;
  void on_fd_error() override;
  void on_out_of_memory() noexcept override;
  int receive(size_t slots) noexcept;
  size_t take_in(int count) noexcept;
  size_t send_whole(std::span<OutDatagram> batch, int* error) noexcept;
  Sent rescue(OutDatagram& message, int error) noexcept;
  int send_plainly(const OutDatagram& message, bool with_source) noexcept;
  int call(mmsghdr* messages, size_t count) noexcept;
  void counted(const OutDatagram& message) noexcept;

  UdpHandler& handler_;
  const SendCall send_call_;
  const std::shared_ptr<Buffers> buffers_;
  inet::Endpoint local_, peer_;
  bool gro_, gso_, v6_ = false;
  bool reading_ = true, blocked_ = false, many_ = false;
  Counters counters_;
  std::unique_ptr<FdWatcher> watcher_;
};

}  // namespace smartvpn::net
