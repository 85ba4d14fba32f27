// Sending. What the kernel refuses of one message is this message's own misfortune: the others go on, and a refusal of
// segmentation or of a source address is answered by doing without.
#include <cerrno>
#include <cstddef>

#include "net/udp_buffers.hpp"
#include "net/udp_socket.hpp"

namespace smartvpn::net {
namespace {

size_t size_of(const OutDatagram& message) noexcept {
  size_t size = 0;
  for (ByteView piece : message.pieces) size += piece.size();
  return size;
}

bool is_segmented(const OutDatagram& message) noexcept {
  return message.segment_size != 0 && size_of(message) > message.segment_size;
}

size_t datagrams_of(const OutDatagram& message) noexcept {
  const size_t size = size_of(message);
  return is_segmented(message) ? (size + message.segment_size - 1) / message.segment_size : 1;
}

// Not ENOBUFS: the kernel has no memory for this message, and would call the socket writable all the time.
bool is_blocked(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK; }

// EIO: the device, or a transformation on the way, cannot do checksums for segments. The others: this path's packets
// are smaller than a segment, or this kernel cuts into fewer.
bool is_about_segments(int error) noexcept { return error == EIO || error == EINVAL || error == EMSGSIZE; }

// What the kernel says when the source address is not, or no longer, this machine's.
bool is_about_source(int error) noexcept {
  return error == EINVAL || error == EADDRNOTAVAIL || error == ENETUNREACH || error == EHOSTUNREACH ||
         error == ENODEV || error == ENXIO;
}

// The bytes [begin, begin + size) of the concatenated pieces; gives how many iovecs.
size_t gather(const OutDatagram& message, size_t begin, size_t size, std::span<iovec> out) noexcept {
  size_t count = 0;
  for (ByteView piece : message.pieces) {
    if (begin >= piece.size()) {
      begin -= piece.size();
      continue;
    }
    if (size == 0 || count == out.size()) break;
    const size_t part = std::min(size, piece.size() - begin);
    out[count++] = {const_cast<uint8_t*>(piece.data() + begin), part};
    begin = 0;
    size -= part;
  }
  return count;
}

// A socket of both families takes IPv4 as mapped addresses. A link-local address is one of an interface's.
SocketAddress name_of(const OutDatagram& message, bool v6_socket) noexcept {
  const inet::Endpoint& to = message.to;
  SocketAddress out = to_socket_address(to);
  if (to.ip.is_v6() && to.ip.is_link_local()) {
    static_assert(sizeof(sockaddr_in6::sin6_scope_id) == sizeof message.interface);
    std::memcpy(reinterpret_cast<uint8_t*>(&out.storage) + offsetof(sockaddr_in6, sin6_scope_id), &message.interface,
                sizeof message.interface);
  }
  if (!v6_socket || !to.ip.is_v4()) return out;
  sockaddr_in6 name{};
  name.sin6_family = AF_INET6;
  name.sin6_port = htons(to.port);
  name.sin6_addr.s6_addr[10] = name.sin6_addr.s6_addr[11] = 0xff;
  std::copy_n(to.ip.bytes().data(), 4, name.sin6_addr.s6_addr + 12);
  std::memcpy(&out.storage, &name, sizeof name);
  out.size = sizeof name;
  return out;
}

}  // namespace

size_t UdpSocket::send(std::span<OutDatagram> batch) noexcept {
  size_t done = 0;
  while (done < batch.size()) {
    int error = 0;
    done += send_whole(batch.subspan(done), &error);
    if (done == batch.size()) break;
    if (error == 0 && (gso_ || !is_segmented(batch[done]))) continue;
    const Sent sent = rescue(batch[done], error);
    if (sent == Sent::blocked) {
      blocked_ = true;
      watcher_->watch(reading_, true);
      break;
    }
    if (sent == Sent::yes) counted(batch[done]);
    ++done;
  }
  return done;
}

void UdpSocket::counted(const OutDatagram& message) noexcept {
  ++counters_.messages_out;
  counters_.bytes_out += size_of(message);
  counters_.datagrams_out += datagrams_of(message);
}

// One call of the kernel's, up to a message that has to be cut here. Gives how many are sent; if that is none, why not.
size_t UdpSocket::send_whole(std::span<OutDatagram> batch, int* error) noexcept {
  Buffers& b = *buffers_;
  size_t count = 0;
  for (; count < std::min(batch.size(), Buffers::kSendMessages); ++count) {
    const OutDatagram& message = batch[count];
    const bool segmented = is_segmented(message);
    if (segmented && !gso_) break;
    msghdr& header = b.out[count].msg_hdr;
    header = {};
    if (!peer_) {
      b.out_names[count] = name_of(message, v6_);
      header.msg_name = b.out_names[count].get();
      header.msg_namelen = b.out_names[count].size;
    }
    header.msg_iov = b.out_iov[count].data();
    header.msg_iovlen = gather(message, 0, SIZE_MAX, b.out_iov[count]);
    header.msg_controllen = write_control(message, destination(message), segmented, true, b.out_controls[count].bytes);
    header.msg_control = header.msg_controllen ? b.out_controls[count].bytes : nullptr;
  }
  if (count == 0) return 0;
  const int sent = call(b.out.data(), count);
  if (sent < 0) *error = errno;
  for (int i = 0; i < sent; ++i) counted(batch[static_cast<size_t>(i)]);
  return static_cast<size_t>(std::max(sent, 0));  // if it stopped short, the next call says why
}

int UdpSocket::call(mmsghdr* messages, size_t count) noexcept {
  int sent;
  do {
    sent = send_call_(watcher_->fd(), messages, static_cast<unsigned>(count), MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  ++counters_.send_calls;
  return sent;
}

// A message that did not go as it is: the kernel said `error` of it, or nothing yet (0) because we have to cut it.
UdpSocket::Sent UdpSocket::rescue(OutDatagram& message, int error) noexcept {
  if (is_segmented(message) && (error == 0 || is_about_segments(error))) {
    if (error != 0) ++counters_.gso_refused;
    if (error == EIO || (error != 0 && peer_)) gso_ = false;  // one peer has one path
    error = send_plainly(message, true);
    if (error == 0) return Sent::yes;
  }
  if (message.from && is_about_source(error)) {
    error = send_plainly(message, false);
    message.source_gone |= error == 0;
    if (error == 0) return Sent::yes;
  }
  if (is_blocked(error)) return Sent::blocked;
  message.error = error;
  counters_.failed += datagrams_of(message);
  return Sent::refused;
}

// Each datagram as a message of its own. Gives 0, or what the kernel said of the first. When it takes some and then no
// more, the rest is given up: whoever sends so much so fast has lost packets anyway.
int UdpSocket::send_plainly(const OutDatagram& message, bool with_source) noexcept {
  Buffers& b = *buffers_;
  Buffers::Control control;
  SocketAddress name;
  if (!peer_) name = name_of(message, v6_);
  const size_t control_size = write_control(message, destination(message), false, with_source, control.bytes);
  const size_t size = size_of(message), all = datagrams_of(message);
  const size_t step = is_segmented(message) ? message.segment_size : size;
  for (size_t done = 0; done < all;) {
    size_t count = 0, pieces = 0;
    for (; count < std::min(all - done, Buffers::kCutMessages); ++count) {
      const size_t begin = (done + count) * step;
      msghdr& header = b.cut[count].msg_hdr;
      header = {};
      header.msg_name = peer_ ? nullptr : name.get();
      header.msg_namelen = name.size;
      header.msg_iov = b.cut_iov.data() + pieces;
      header.msg_iovlen = gather(message, begin, std::min(step, size - begin), std::span(b.cut_iov).subspan(pieces));
      header.msg_controllen = control_size;
      header.msg_control = control_size ? control.bytes : nullptr;
      pieces += header.msg_iovlen;
    }
    const int sent = call(b.cut.data(), count);
    if (sent < 0 && done == 0) return errno;
    if (sent < 0) counters_.failed += all - done;
    if (sent < 0) return 0;
    done += static_cast<size_t>(sent);
  }
  return 0;
}

}  // namespace smartvpn::net
