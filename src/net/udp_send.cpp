// Sending. What the kernel refuses of one message is this message's own misfortune: the others go on, and a refusal of
// segmentation or of a source address is answered by doing without.
#include <cerrno>

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

bool is_blocked(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK; }

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

// A socket of both families takes IPv4 as mapped addresses.
SocketAddress name_of(const inet::Endpoint& to, bool v6_socket) noexcept {
  if (!v6_socket || !to.ip.is_v4()) return to_socket_address(to);
  SocketAddress out;
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

void UdpSocket::counted(const OutDatagram& message) noexcept {
  const size_t size = size_of(message);
  ++counters_.messages_out;
  counters_.bytes_out += size;
  counters_.datagrams_out += is_segmented(message) ? (size + message.segment_size - 1) / message.segment_size : 1;
}

size_t UdpSocket::send(std::span<OutDatagram> batch) noexcept {
  size_t done = 0;
  bool blocked = false;
  while (done < batch.size() && !blocked) {
    if (!gso_ && is_segmented(batch[done])) {
      const Sent sent = send_cut(batch[done], true);
      blocked = sent == Sent::blocked;
      if (sent == Sent::yes) counted(batch[done]);
      done += !blocked;
      continue;
    }
    done += send_some(batch.subspan(done), &blocked);
  }
  if (blocked) {
    blocked_ = true;
    watcher_->watch(reading_, true);
  }
  return done;
}

// One call of the kernel's, and what has to be done about the message it stopped at.
size_t UdpSocket::send_some(std::span<OutDatagram> batch, bool* blocked) noexcept {
  Buffers& b = *buffers_;
  size_t count = 0;
  for (; count < std::min(batch.size(), Buffers::kSendMessages); ++count) {
    const OutDatagram& message = batch[count];
    const bool segmented = is_segmented(message);
    if (segmented && !gso_) break;
    b.out_names[count] = name_of(message.to, v6_);
    msghdr& header = b.out[count].msg_hdr;
    header = {};
    header.msg_name = b.out_names[count].get();
    header.msg_namelen = b.out_names[count].size;
    header.msg_iov = b.out_iov[count].data();
    header.msg_iovlen = gather(message, 0, SIZE_MAX, b.out_iov[count]);
    header.msg_controllen = write_control(message, segmented, true, b.out_controls[count].bytes);
    header.msg_control = header.msg_controllen ? b.out_controls[count].bytes : nullptr;
  }
  int sent;
  do {
    sent = ::sendmmsg(watcher_->fd(), b.out.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  const int error = sent < 0 ? errno : 0;
  ++counters_.send_calls;
  for (int i = 0; i < sent; ++i) counted(batch[static_cast<size_t>(i)]);
  if (sent > 0) return static_cast<size_t>(sent);  // if it stopped short, the next call says why
  const Sent rescued = rescue(batch[0], error);
  *blocked = rescued == Sent::blocked;
  if (rescued == Sent::yes) counted(batch[0]);
  if (rescued == Sent::refused) ++counters_.failed;
  return *blocked ? 0 : 1;
}

UdpSocket::Sent UdpSocket::rescue(OutDatagram& message, int error) noexcept {
  if (is_blocked(error)) return Sent::blocked;
  const bool segmented = is_segmented(message);
  // EIO: the device cannot do checksums for segments. The others: this path's packets are smaller than a segment.
  if (segmented && (error == EIO || error == EINVAL || error == EMSGSIZE)) {
    ++counters_.gso_refused;
    if (error == EIO) gso_ = false;
    const Sent sent = send_cut(message, true);
    if (sent != Sent::refused) return sent;
  }
  if (!message.from || !is_about_source(error)) return Sent::refused;
  const Sent sent = segmented ? send_cut(message, false) : send_one(message, 0, size_of(message), false);
  message.source_gone = sent == Sent::yes;
  return sent;
}

UdpSocket::Sent UdpSocket::send_one(const OutDatagram& message, size_t begin, size_t size, bool with_source) noexcept {
  std::array<iovec, kMaxPieces> iov;
  Buffers::Control control;
  SocketAddress name = name_of(message.to, v6_);
  msghdr header{};
  header.msg_name = name.get();
  header.msg_namelen = name.size;
  header.msg_iov = iov.data();
  header.msg_iovlen = gather(message, begin, size, iov);
  header.msg_controllen = write_control(message, false, with_source, control.bytes);
  header.msg_control = header.msg_controllen ? control.bytes : nullptr;
  ssize_t sent;
  do {
    sent = ::sendmsg(watcher_->fd(), &header, MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  ++counters_.send_calls;
  if (sent >= 0) return Sent::yes;
  return is_blocked(errno) ? Sent::blocked : Sent::refused;
}

// Segment by segment. Blocked half-way, what is left of this message is given up: it would have to be cut again, and
// whoever sends so much so fast has lost packets anyway.
UdpSocket::Sent UdpSocket::send_cut(OutDatagram& message, bool with_source) noexcept {
  const size_t size = size_of(message);
  for (size_t begin = 0; begin < size; begin += message.segment_size) {
    const Sent sent = send_one(message, begin, std::min<size_t>(message.segment_size, size - begin), with_source);
    if (sent == Sent::yes) continue;
    if (sent == Sent::blocked && begin > 0) ++counters_.failed;
    return sent == Sent::blocked && begin > 0 ? Sent::yes : sent;
  }
  return Sent::yes;
}

}  // namespace smartvpn::net
