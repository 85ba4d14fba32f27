// Opening and reading; udp_send.cpp has the other direction.
#include "net/udp_socket.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>

#include <cerrno>

#include "base/descriptor.hpp"
#include "net/sockaddr.hpp"
#include "net/udp_buffers.hpp"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace smartvpn::net {
namespace {

constexpr int kCallsPerTurn = 8;  // others on the loop want their turn too

bool set_option(int fd, int level, int name, int value) noexcept {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

// As much as we may: beyond the system's limit only with privilege.
void set_buffer(int fd, int forced, int plain, int size) noexcept {
  if (!set_option(fd, SOL_SOCKET, forced, size)) set_option(fd, SOL_SOCKET, plain, size);
}

Result<Fd> open_udp(inet::Endpoint& at, const std::string& path) {
  constexpr int kType = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  Fd fd(above_standard(::socket(at.ip.is_v4() ? AF_INET : AF_INET6, kType, 0)));
  if (!fd && errno == EAFNOSUPPORT && at.ip.is_v6() && at.ip.is_unspecified()) {
    at.ip = inet::IpAddress::v4(0);
    fd.reset(above_standard(::socket(AF_INET, kType, 0)));
  }
  if (!fd) return system_error(errno, "cannot open a UDP socket", path);
  return fd;
}

Result<Fd> bind_udp(const UdpOptions& options) {
  inet::Endpoint at = options.address;
  auto fd = open_udp(at, options.path);
  if (!fd) return fd.error();
  if (options.reuse_port && !set_option(fd->get(), SOL_SOCKET, SO_REUSEPORT, 1))
    return system_error(errno, "cannot share a port", options.path);
  if (at.ip.is_v6()) set_option(fd->get(), IPPROTO_IPV6, IPV6_V6ONLY, at.ip.is_unspecified() ? 0 : 1);
  const SocketAddress address = to_socket_address(at);
  if (::bind(fd->get(), address.get(), address.size) != 0)
    return system_error(errno, "cannot bind " + at.text(), options.path);
  if (options.share_later && !set_option(fd->get(), SOL_SOCKET, SO_REUSEPORT, 1))
    return system_error(errno, "cannot share a port", options.path);
  return fd;
}

Result<Fd> connect_udp(const UdpOptions& options) {
  inet::Endpoint to = options.connect_to;
  auto fd = open_udp(to, options.path);
  if (!fd) return fd.error();
  const SocketAddress address = to_socket_address(to);
  if (::connect(fd->get(), address.get(), address.size) != 0)
    return system_error(errno, "cannot connect to " + to.text(), options.path);
  return fd;
}

Result<Fd> adopt_udp(const UdpOptions& options) {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(options.fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0)
    return system_error(errno, "not a socket: descriptor " + std::to_string(options.fd), options.path);
  if (type != SOCK_DGRAM || !local_endpoint(options.fd) || local_endpoint(options.fd).port == 0)
    return make_error(Status::INVALID, "not a bound UDP socket: descriptor " + std::to_string(options.fd),
                      options.path);
  Fd ours = Fd::duplicate_of(options.fd);
  if (!ours) return system_error(errno, "cannot duplicate a descriptor", options.path);
  return ours;
}

Result<Fd> open_as(const UdpOptions& options) {
  if (options.connect_to) return connect_udp(options);
  return options.fd >= 0 ? adopt_udp(options) : bind_udp(options);
}

}  // namespace

std::shared_ptr<UdpBuffers> make_udp_buffers() { return std::make_shared<UdpBuffers>(); }

UdpSocket::UdpSocket(const UdpOptions& options, UdpHandler& handler)
    : handler_(handler),
      send_call_(options.send_call ? options.send_call : &::sendmmsg),
      buffers_(options.buffers ? options.buffers : make_udp_buffers()),
      peer_(options.connect_to),
      gro_(options.gro),
      gso_(options.gso) {}

UdpSocket::~UdpSocket() = default;

Result<std::unique_ptr<UdpSocket>> UdpSocket::open(Loop& loop, const UdpOptions& options, UdpHandler& handler) {
  auto fd = open_as(options);
  if (!fd) return fd.error();
  std::unique_ptr<UdpSocket> socket(new UdpSocket(options, handler));
  int domain = AF_INET;
  socklen_t size = sizeof domain;
  getsockopt(fd->get(), SOL_SOCKET, SO_DOMAIN, &domain, &size);
  socket->local_ = local_endpoint(fd->get());
  socket->v6_ = domain == AF_INET6;
  socket->configure(fd->get(), options.kernel_buffer);
  auto watcher = FdWatcher::create(loop, std::move(*fd), *socket);
  if (!watcher) return watcher.error();
  socket->watcher_ = std::move(*watcher);
  socket->watcher_->watch(true, false);
  return socket;
}

// Nothing here is needed to work: what an old kernel has not is done without.
void UdpSocket::configure(int fd, int kernel_buffer) noexcept {
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, kernel_buffer);
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, kernel_buffer);
  // On a socket of both families for IPv4 too.
  set_option(fd, IPPROTO_IP, IP_PKTINFO, v6_ ? 0 : 1);
  set_option(fd, IPPROTO_IP, IP_RECVTOS, 1);
  // What the host of a lent socket may have asked for: nobody here would read the queue.
  set_option(fd, IPPROTO_IP, IP_RECVERR, 0);
  // Whoever carries packets must not be caught in somebody's broken path MTU discovery: DF stays clear.
  set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  if (v6_) {
    set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 0);
    set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
  }
  int segment = 0;
  socklen_t size = sizeof segment;
  gso_ = gso_ && getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, &size) == 0;
  gro_ = set_option(fd, IPPROTO_UDP, UDP_GRO, gro_ ? 1 : 0) && gro_;
}

int UdpSocket::receive(size_t slots) noexcept {
  Buffers& b = *buffers_;
  for (size_t i = 0; i < slots; ++i) {
    b.iov[i] = {b.memory.get() + i * Buffers::kStride, Buffers::kSlotSize};
    msghdr& header = b.messages[i].msg_hdr;
    header = {};
    header.msg_name = b.names[i].get();
    header.msg_namelen = sizeof b.names[i].storage;
    header.msg_iov = &b.iov[i];
    header.msg_iovlen = 1;
    header.msg_control = b.controls[i].bytes;
    header.msg_controllen = kControlSize;
  }
  int count;
  do {
    count = ::recvmmsg(watcher_->fd(), b.messages.data(), static_cast<unsigned>(slots), MSG_DONTWAIT, nullptr);
  } while (count < 0 && errno == EINTR);
  ++counters_.receive_calls;
  return count;
}

// Into `datagrams`; gives how many.
size_t UdpSocket::take_in(int count) noexcept {
  Buffers& b = *buffers_;
  size_t taken = 0;
  many_ = false;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const msghdr& header = b.messages[i].msg_hdr;
    const size_t size = b.messages[i].msg_len;
    ++counters_.messages_in;
    counters_.bytes_in += size;
    if ((header.msg_flags & MSG_TRUNC) != 0) {
      ++counters_.truncated;
      continue;
    }
    Datagram& out = b.datagrams[taken];
    out = Datagram{};
    out.bytes = {b.memory.get() + i * Buffers::kStride, size};
    out.from = to_endpoint(b.names[i].get(), header.msg_namelen);
    read_control({b.controls[i].bytes, header.msg_controllen}, out);
    if (out.segment_size >= size) out.segment_size = 0;
    many_ |= out.segment_size != 0;
    counters_.datagrams_in += out.segment_size == 0 ? 1 : (size + out.segment_size - 1) / out.segment_size;
    ++taken;
  }
  return taken;
}

void UdpSocket::on_readable() {
  for (int call = 0; call < kCallsPerTurn && reading_; ++call) {
    const size_t slots = many_ ? Buffers::kWideSlots : Buffers::kSlots;
    const int count = receive(slots);
    if (count <= 0) {
      if (count == 0 || errno == EAGAIN || errno == EWOULDBLOCK) return;
      // ICMP errors about packets of ours come here; unless there is but one they can be about, they are nobody's word.
      if (peer_) handler_.on_udp_refused(errno);
      continue;
    }
    const size_t taken = take_in(count);
    if (taken > 0) handler_.on_datagrams({buffers_->datagrams.data(), taken});
    if (static_cast<size_t>(count) < slots) return;
  }
}

void UdpSocket::pause_reading() noexcept {
  reading_ = false;
  watcher_->watch(false, blocked_);
}

void UdpSocket::resume_reading() noexcept {
  reading_ = true;
  watcher_->watch(true, blocked_);
}

void UdpSocket::on_writable() {
  blocked_ = false;
  watcher_->watch(reading_, false);
  handler_.on_udp_writable();
}

// An error that waits (ICMP) is fetched and, unless connected, forgotten; one that stays is the socket's end.
void UdpSocket::on_fd_error() {
  int error = 0;
  socklen_t size = sizeof error;
  const bool alive = getsockopt(watcher_->fd(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != EBADF;
  if (alive) {
    watcher_->watch(reading_, blocked_);
    if (peer_ && error != 0) handler_.on_udp_refused(error);
    return;
  }
  reading_ = false;
  handler_.on_udp_error(system_error(error, "the UDP socket is broken"));
}

void UdpSocket::on_out_of_memory() noexcept { watcher_->watch(reading_, blocked_); }

}  // namespace smartvpn::net
